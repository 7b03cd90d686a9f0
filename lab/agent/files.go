package agent

import (
	"context"
	"net/http"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// filesHost is what a host can do to the files on the member's disk.
type filesHost interface {
	lab.FileFaulter
	lab.EventHolder
	lab.Filler
	lab.Damager
}

type (
	holdAtRequest struct {
		At  lab.Moment `json:"at"`
		Max duration   `json:"max"`
	}
	fillRequest struct {
		Leave int64 `json:"leave"` // bytes
	}
	damageRequest struct{ lab.Damage }
)

func (r holdAtRequest) check() error {
	if err := r.Max.check("max"); err != nil {
		return err
	}
	return r.At.Check()
}

func (r fillRequest) check() error {
	if r.Leave < 0 {
		return Invalid("leave is %d bytes: must not be negative", r.Leave)
	}
	return nil
}

func (r damageRequest) check() error { return r.Damage.Check() }

func (s *server) serveFiles(mux *http.ServeMux) {
	h := s.host
	mux.HandleFunc("GET /v1/files/{file}/extents", func(w http.ResponseWriter, request *http.Request) {
		file := request.PathValue("file")
		if err := lab.CheckFile(file); err != nil {
			s.answer(w, nil, invalid(err))
			return
		}
		extents, err := h.Extents(request.Context(), file)
		s.answer(w, extents, err)
	})
	// As a hold, it waits for etcd and ends with the request.
	mux.HandleFunc("POST /v1/disk/hold-at", func(w http.ResponseWriter, request *http.Request) {
		r, err := decode[holdAtRequest](request.Body)
		if err != nil {
			s.answer(w, nil, invalid(err))
			return
		}
		held, err := h.HoldAt(request.Context(), r.At, time.Duration(r.Max))
		s.answer(w, held, err)
	})
	mux.Handle("GET /v1/space", look(s, h.Space))
	mux.Handle("POST /v1/space/fill", change(s, func(ctx context.Context, r fillRequest) (lab.Space, error) {
		return h.Fill(ctx, r.Leave)
	}))
	mux.Handle("POST /v1/space/unfill", change(s, func(ctx context.Context, _ empty) (lab.Space, error) { return h.Unfill(ctx) }))
	mux.Handle("POST /v1/data/damage", change(s, func(ctx context.Context, r damageRequest) (lab.Damaged, error) {
		return h.Damage(ctx, r.Damage)
	}))
	mux.Handle("POST /v1/data/repair", change(s, func(ctx context.Context, _ empty) ([]lab.Repaired, error) { return h.Repair(ctx) }))
}

func (c *Client) Extents(ctx context.Context, file string) (x []disk.Extent, err error) {
	return x, c.call(ctx, "GET", "files/"+file+"/extents", nil, &x)
}

func (c *Client) HoldAt(ctx context.Context, at lab.Moment, max time.Duration) (h lab.Held, err error) {
	return h, c.call(ctx, "POST", "disk/hold-at", holdAtRequest{at, duration(max)}, &h)
}

func (c *Client) Fill(ctx context.Context, leave int64) (s lab.Space, err error) {
	return s, c.call(ctx, "POST", "space/fill", fillRequest{leave}, &s)
}

func (c *Client) Unfill(ctx context.Context) (s lab.Space, err error) {
	return s, c.call(ctx, "POST", "space/unfill", nil, &s)
}

func (c *Client) Space(ctx context.Context) (s lab.Space, err error) {
	return s, c.call(ctx, "GET", "space", nil, &s)
}

func (c *Client) Damage(ctx context.Context, d lab.Damage) (done lab.Damaged, err error) {
	return done, c.call(ctx, "POST", "data/damage", damageRequest{d}, &done)
}

func (c *Client) Repair(ctx context.Context) (r []lab.Repaired, err error) {
	return r, c.call(ctx, "POST", "data/repair", nil, &r)
}

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/internal/zeros"
	"github.com/etcdlab/etcdlab/lab"
)

// changeTimeout bounds a change of the member. It does not end with the request:
// half a restore because somebody pressed Ctrl-C helps nobody.
const changeTimeout = 2 * time.Minute

// Handler serves a host. One change at a time is made of it; Status, Hold,
// Release, Logs and Exec do not wait for others, so the host must allow those
// beside a change. stop is called when a shutdown was done.
func Handler(h Host, stop func()) http.Handler {
	return newServer(context.Background(), h, slog.Default(), stop)
}

// server is a host on the wire.
type server struct {
	http.Handler
	host Host
	log  *slog.Logger
	life context.Context // commands end with it
	stop func()
	// turn serialises what changes the member. What only looks does not wait
	// for it, so that the status can be asked during a long freeze.
	turn chan struct{}
}

func newServer(life context.Context, h Host, log *slog.Logger, stop func()) *server {
	s := &server{host: h, log: log, life: life, stop: stop, turn: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	s.Handler = mux
	mux.Handle("GET /v1/status", look(s, h.Status))
	mux.Handle("POST /v1/etcd/start", change(s, func(ctx context.Context, _ empty) (Status, error) { return s.after(ctx, h.Start(ctx)) }))
	mux.Handle("POST /v1/etcd/stop", change(s, func(ctx context.Context, _ empty) (Status, error) { return s.after(ctx, h.Stop(ctx)) }))
	mux.Handle("POST /v1/etcd/kill", change(s, func(ctx context.Context, _ empty) (Status, error) { return s.after(ctx, h.Kill(ctx)) }))
	mux.Handle("POST /v1/freeze", change(s, func(ctx context.Context, r freezeRequest) (lab.Frozen, error) {
		return h.Freeze(ctx, time.Duration(r.Deadline))
	}))
	mux.Handle("POST /v1/thaw", change(s, func(ctx context.Context, _ empty) (Status, error) { return s.after(ctx, h.Thaw(ctx)) }))
	mux.Handle("POST /v1/link", change(s, func(ctx context.Context, r linkRequest) (Status, error) {
		return s.after(ctx, h.SetLink(ctx, *r.Up))
	}))
	mux.HandleFunc("GET /v1/archive", s.serveArchive)
	mux.HandleFunc("GET /v1/logs", s.serveLogs)
	mux.Handle("POST /v1/logs/trim", look(s, func(ctx context.Context) (empty, error) { return empty{}, h.TrimLog(ctx) }))
	mux.HandleFunc("POST /v1/exec", s.serveExec)
	mux.Handle("POST /v1/shutdown", change(s, func(ctx context.Context, r shutdownRequest) (empty, error) {
		err := h.Shutdown(ctx, r.Discard)
		if err == nil {
			s.stop()
		}
		return empty{}, err
	}))

	mux.HandleFunc("POST /v1/disk/hold", s.serveHold)
	mux.Handle("POST /v1/disk/release", look(s, func(ctx context.Context) (empty, error) { return empty{}, h.Release(ctx) }))
	mux.Handle("POST /v1/disk/cut", change(s, func(ctx context.Context, _ empty) (disk.CutRecord, error) { return h.Cut(ctx) }))
	mux.Handle("POST /v1/disk/restore", change(s, func(ctx context.Context, r restoreRequest) (lab.Restored, error) {
		return h.Restore(ctx, r.Policy, r.Seed)
	}))
	mux.HandleFunc("GET /v1/disk/cutlog", func(w http.ResponseWriter, r *http.Request) {
		s.stream(w, "application/octet-stream", func(w io.Writer) error { return h.CutLog(r.Context(), w) })
	})
	mux.Handle("GET /v1/disk/stats", look(s, h.DiskStats))
	mux.Handle("GET /v1/disk/faults", look(s, h.DiskFaults))
	mux.Handle("PUT /v1/disk/faults", change(s, func(ctx context.Context, r faultsRequest) ([]disk.FaultState, error) {
		if err := h.SetDiskFaults(ctx, r.Faults); err != nil {
			return nil, err
		}
		return h.DiskFaults(ctx)
	}))
	mux.Handle("PUT /v1/disk/profile", change(s, func(ctx context.Context, r profileRequest) (disk.Stats, error) {
		if err := h.SetDiskProfile(ctx, r.Profile); err != nil {
			return disk.Stats{}, err
		}
		return h.DiskStats(ctx)
	}))
	s.serveProcess(mux)
	s.serveFiles(mux)
	mux.Handle("GET /v1/net/rules", look(s, h.NetRules))
	mux.Handle("PUT /v1/net/rules", change(s, func(ctx context.Context, r netRulesRequest) ([]lab.NetRuleState, error) {
		if err := h.SetNetRules(ctx, r.Owner, r.Rules, r.Seed); err != nil {
			return nil, err
		}
		return h.NetRules(ctx)
	}))
	if m, ok := h.(Machine); ok {
		s.serveMachine(mux, m)
	}
	return s
}

// take waits for the turn to change the member.
func (s *server) take(ctx context.Context) (give func(), err error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another change of the member to end: %w", ctx.Err())
	}
}

// after is the member as a change left it.
func (s *server) after(ctx context.Context, err error) (Status, error) {
	if err != nil {
		return Status{}, err
	}
	return s.host.Status(ctx)
}

// look answers what waits for nothing.
func look[A any](s *server, do func(context.Context) (A, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		answer, err := do(request.Context())
		s.answer(w, answer, err)
	})
}

// change decodes a request and does it when it is its turn.
func change[R, A any](s *server, do func(context.Context, R) (A, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r, err := decode[R](request.Body)
		if err != nil {
			s.answer(w, nil, invalid(err))
			return
		}
		give, err := s.take(request.Context())
		if err != nil {
			s.answer(w, nil, err)
			return
		}
		defer give()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(request.Context()), changeTimeout)
		defer cancel()
		answer, err := do(ctx, r)
		s.answer(w, answer, err)
	})
}

func (s *server) answer(w http.ResponseWriter, answer any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		e := onWire(err)
		s.log.Error("refused", "error", e.Message, "kind", e.Kind)
		w.WriteHeader(e.status())
		answer = e
	}
	// What fails here is the peer's connection.
	_ = json.NewEncoder(w).Encode(answer)
}

// serveHold does not wait for a turn: it waits for etcd to write, and the freeze
// that follows must be free to come. It ends with the request.
func (s *server) serveHold(w http.ResponseWriter, request *http.Request) {
	r, err := decode[holdRequest](request.Body)
	if err != nil {
		s.answer(w, nil, invalid(err))
		return
	}
	held, err := s.host.Hold(request.Context(), time.Duration(r.Max))
	s.answer(w, held, err)
}

// serveArchive streams it. How it was taken is known at its end only. With
// ?zeros=true runs of zeroes are sent as their length (package zeros): most of a
// WAL is not written yet, and what comes out of a guest is dear.
func (s *server) serveArchive(w http.ResponseWriter, request *http.Request) {
	give, err := s.take(request.Context())
	if err != nil {
		s.answer(w, nil, err)
		return
	}
	defer give()
	w.Header().Add("Trailer", trailerHow)
	s.stream(w, "application/x-tar", func(to io.Writer) error {
		archive := io.Writer(to)
		end := func() error { return nil }
		if request.URL.Query().Get("zeros") == "true" {
			z := zeros.NewWriter(to)
			archive, end = z, z.Close
		}
		how, err := s.host.Archive(request.Context(), archive)
		w.Header().Set(trailerHow, how)
		if err != nil {
			return err
		}
		return end()
	})
}

// stream answers with what write writes. An error before the first byte is an
// ordinary one; a later one comes in a trailer.
func (s *server) stream(w http.ResponseWriter, contentType string, write func(io.Writer) error) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Add("Trailer", trailerError)
	counted := &counter{w: w}
	err := write(counted)
	if err == nil {
		return
	}
	if counted.n == 0 {
		w.Header().Del("Trailer")
		w.Header().Del(trailerHow)
		s.answer(w, nil, err)
		return
	}
	s.log.Error("a streamed answer failed", "error", err)
	w.Header().Set(trailerError, oneLine(err))
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// onWire is an error as it is answered.
func onWire(err error) *Error {
	var e *Error
	var unmountable *lab.UnmountableError
	var unsupported *lab.UnsupportedError
	switch {
	case errors.As(err, &unmountable):
		return &Error{Message: unmountable.Reason, Kind: kindUnmountable, Choice: &unmountable.Choice}
	case errors.As(err, &unsupported):
		return &Error{Message: unsupported.Reason, Kind: kindUnsupported, Capability: unsupported.Capability}
	case errors.As(err, &e):
		return e
	}
	return &Error{Message: err.Error(), Kind: kindInternal}
}

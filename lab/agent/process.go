package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// processHost is what a host can do to etcd's process, its data and what it may
// use, beside starting and ending it.
type processHost interface {
	lab.Signaller
	lab.Configurer
	lab.Wiper
	lab.Restorer
	lab.Limiter
	lab.Clocker
	// Upload stores a program of another build and gives its path on the host,
	// where it is executable.
	Upload(ctx context.Context, key, name string, program io.Reader) (path string, err error)
}

type (
	signalRequest struct {
		Signal string `json:"signal"`
	}
	settingsRequest struct {
		Settings *lab.Settings `json:"settings"` // null puts the spec's back
	}
	restoringRequest struct{ lab.Restoring }
	limitsRequest    struct{ lab.Limits }
	clockRequest     struct {
		Wall int64   `json:"wall"` // what the clock is to say, in nanoseconds since 1970
		Rate float64 `json:"rate"`
	}
	clockAnswer struct {
		Wall int64   `json:"wall"`
		Rate float64 `json:"rate"`
	}
	uploadAnswer struct {
		Path string `json:"path"`
	}
)

func (r signalRequest) check() error {
	if !slices.Contains(lab.Signals, r.Signal) {
		return fmt.Errorf("signal is %q; it is one of %v", r.Signal, lab.Signals)
	}
	return nil
}

func (r settingsRequest) check() error { return r.Settings.Check() }

func (r limitsRequest) check() error { return r.Limits.Check() }

func (r restoringRequest) check() error {
	if r.Cluster == "" || r.Token == "" || strings.ContainsRune(r.Cluster+r.Token, 0) {
		return errors.New("cluster and token must be set")
	}
	return nil
}

// maxRate is how much faster or slower the kernel lets a clock run.
const maxRate = 0.1

func (r clockRequest) check() error {
	if r.Wall <= 0 {
		return errors.New("wall must be a time after 1970")
	}
	if !(r.Rate >= -maxRate && r.Rate <= maxRate) { // NaN is neither
		return fmt.Errorf("rate must be %v to %v", -maxRate, maxRate)
	}
	return nil
}

// Programs of a build and the form of its key.
var (
	programs = []string{"etcd", "etcdctl", "etcdutl"}
	keyForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,200}$`)
)

func checkProgram(key, name string) error {
	if !keyForm.MatchString(key) || !slices.Contains(programs, name) {
		return Invalid("program %s of build %s: want one of %v, of a build's key", name, key, programs)
	}
	return nil
}

func (s *server) serveProcess(mux *http.ServeMux) {
	h := s.host
	mux.Handle("POST /v1/etcd/signal", change(s, func(ctx context.Context, r signalRequest) (Status, error) {
		return s.after(ctx, h.Signal(ctx, r.Signal))
	}))
	mux.Handle("GET /v1/etcd/settings", look(s, func(ctx context.Context) (r settingsRequest, err error) {
		r.Settings, err = h.Settings(ctx)
		return r, err
	}))
	mux.Handle("PUT /v1/etcd/settings", change(s, func(ctx context.Context, r settingsRequest) (Status, error) {
		return s.after(ctx, h.Configure(ctx, r.Settings))
	}))
	mux.Handle("POST /v1/data/wipe", change(s, func(ctx context.Context, _ empty) (Status, error) {
		return s.after(ctx, h.Wipe(ctx))
	}))
	mux.HandleFunc("POST /v1/data/restore", s.serveRestore)
	mux.HandleFunc("PUT /v1/programs/{key}/{name}", s.serveUpload)
	mux.Handle("GET /v1/limits", look(s, h.Limits))
	mux.Handle("PUT /v1/limits", change(s, func(ctx context.Context, r limitsRequest) (lab.Limited, error) {
		if err := h.SetLimits(ctx, r.Limits); err != nil {
			return lab.Limited{}, err
		}
		return h.Limits(ctx)
	}))
	mux.Handle("GET /v1/clock", look(s, func(ctx context.Context) (clockAnswer, error) {
		c, err := h.Clock(ctx)
		return clockAnswer{time.Now().Add(c.Offset).UnixNano(), c.Rate}, err
	}))
	mux.Handle("PUT /v1/clock", change(s, func(ctx context.Context, r clockRequest) (clockAnswer, error) {
		c := lab.Clock{Offset: time.Until(time.Unix(0, r.Wall)), Rate: r.Rate}
		return clockAnswer(r), h.SetClock(ctx, c)
	}))
}

// serveRestore takes the snapshot as the body, and how it is restored, in JSON,
// as the query's how.
func (s *server) serveRestore(w http.ResponseWriter, request *http.Request) {
	r, err := decode[restoringRequest](strings.NewReader(request.URL.Query().Get("how")))
	if err != nil {
		s.answer(w, nil, invalid(err))
		return
	}
	s.takeBody(w, request, func(ctx context.Context) (any, error) {
		return s.after(ctx, s.host.RestoreSnapshot(ctx, request.Body, r.Restoring))
	})
}

func (s *server) serveUpload(w http.ResponseWriter, request *http.Request) {
	key, name := request.PathValue("key"), request.PathValue("name")
	if err := checkProgram(key, name); err != nil {
		s.answer(w, nil, err)
		return
	}
	s.takeBody(w, request, func(ctx context.Context) (any, error) {
		path, err := s.host.Upload(ctx, key, name, request.Body)
		return uploadAnswer{path}, err
	})
}

// takeBody does a change whose request streams: half of one must end it.
func (s *server) takeBody(w http.ResponseWriter, request *http.Request, do func(context.Context) (any, error)) {
	give, err := s.take(request.Context())
	if err != nil {
		s.answer(w, nil, err)
		return
	}
	defer give()
	ctx, cancel := context.WithTimeout(request.Context(), changeTimeout)
	defer cancel()
	answer, err := do(ctx)
	s.answer(w, answer, err)
}

func (c *Client) Signal(ctx context.Context, name string) error {
	return c.call(ctx, "POST", "etcd/signal", signalRequest{name}, nil)
}

func (c *Client) Configure(ctx context.Context, s *lab.Settings) error {
	return c.call(ctx, "PUT", "etcd/settings", settingsRequest{s}, nil)
}

func (c *Client) Settings(ctx context.Context) (*lab.Settings, error) {
	var r settingsRequest
	err := c.call(ctx, "GET", "etcd/settings", nil, &r)
	return r.Settings, err
}

func (c *Client) Wipe(ctx context.Context) error { return c.call(ctx, "POST", "data/wipe", nil, nil) }

func (c *Client) RestoreSnapshot(ctx context.Context, snapshot io.Reader, how lab.Restoring) error {
	query, err := json.Marshal(how)
	if err != nil {
		return err
	}
	return c.send(ctx, "POST", "data/restore?how="+url.QueryEscape(string(query)), snapshot, nil)
}

func (c *Client) Upload(ctx context.Context, key, name string, program io.Reader) (string, error) {
	var answer uploadAnswer
	err := c.send(ctx, "PUT", "programs/"+url.PathEscape(key)+"/"+name, program, &answer)
	return answer.Path, err
}

// ConfigureAt is Configure for a host that does not share this machine's files:
// another build's programs are brought there first.
func (c *Client) ConfigureAt(ctx context.Context, s *lab.Settings) error {
	if s == nil || s.Binaries == nil {
		return c.Configure(ctx, s)
	}
	there := *s
	b := *s.Binaries
	b.Container, b.Guest = nil, nil
	for name, path := range map[string]*string{"etcd": &b.Etcd, "etcdctl": &b.Etcdctl, "etcdutl": &b.Etcdutl} {
		if *path == "" {
			continue
		}
		f, err := os.Open(*path)
		if err != nil {
			return fmt.Errorf("bring %s to %s: %w", b.Version, c.member, err)
		}
		*path, err = c.Upload(ctx, b.Key, name, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("bring %s of %s to %s: %w", name, b.Version, c.member, err)
		}
	}
	there.Binaries = &b
	return c.Configure(ctx, &there)
}

func (c *Client) SetLimits(ctx context.Context, l lab.Limits) error {
	return c.call(ctx, "PUT", "limits", limitsRequest{l}, nil)
}

func (c *Client) Limits(ctx context.Context) (l lab.Limited, err error) {
	return l, c.call(ctx, "GET", "limits", nil, &l)
}

// SetClock says what the clock is to show, not by how much to step it: so it can
// be said again, and by another process.
func (c *Client) SetClock(ctx context.Context, to lab.Clock) error {
	return c.call(ctx, "PUT", "clock", clockRequest{time.Now().Add(to.Offset).UnixNano(), to.Rate}, nil)
}

// Clock is right up to half of what the question takes.
func (c *Client) Clock(ctx context.Context) (lab.Clock, error) {
	var a clockAnswer
	asked := time.Now()
	if err := c.call(ctx, "GET", "clock", nil, &a); err != nil {
		return lab.Clock{}, err
	}
	half := asked.Add(time.Since(asked) / 2)
	return lab.Clock{Offset: time.Unix(0, a.Wall).Sub(half), Rate: a.Rate}, nil
}

// send is call with a body that is streamed.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader, out any) error {
	answer, err := c.openBody(ctx, method, path, io.NopCloser(body), "")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if out == nil {
		out = new(json.RawMessage)
	}
	if err := json.NewDecoder(answer.Body).Decode(out); err != nil && err != io.EOF {
		return fmt.Errorf("%s of the agent of %s: decode the answer: %w", filepath.Dir(path), c.member, err)
	}
	return nil
}

package agent

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// An agent that is stopped, or stuck, takes requests and never answers one. Its
// status waits for nothing, so it is asked for that while another request takes
// long.
const (
	lookEvery = 3 * time.Second
	lookFor   = 5 * time.Second
	patience  = 2 // looks in a row without an answer
)

// errSilent is no context.Canceled: nobody has asked for the end.
var errSilent = errors.New("it is there, but silent: stopped or stuck")

// attend gives a context that also ends when the agent falls silent.
func (c *Client) attend(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for missed := 0; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if c.answers(ctx) {
				missed = 0
			} else if missed++; missed == patience {
				cancel(errSilent)
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

func (c *Client) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/v1/status", nil)
	if err != nil {
		return false
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil
}

// cause is why a request failed: the silence, where that is what ended it.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); err != nil && errors.Is(why, errSilent) {
		return why
	}
	return err
}

// attended is the body of an answer to a request that is attended to its end.
type attended struct {
	io.ReadCloser
	ctx  context.Context
	done func()
}

// attend keeps the way to the other side of a connection that was upgraded.
func attend(body io.ReadCloser, ctx context.Context, done func()) io.ReadCloser {
	a := &attended{body, ctx, done}
	if w, ok := body.(io.Writer); ok {
		return struct {
			*attended
			io.Writer
		}{a, w}
	}
	return a
}

func (a *attended) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	return n, cause(a.ctx, err)
}

func (a *attended) Close() error {
	defer a.done()
	return a.ReadCloser.Close()
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/etcdlab/etcdlab/lab"
)

// Machine is what a host has beside the rest that is a machine of its own, with
// a console, and can end as one.
type Machine interface {
	lab.Console
	lab.HostCrasher
	// Type sends keys to the console.
	Type(keys []byte) error
}

type crashRequest struct {
	How lab.HostCrash `json:"how"`
}

func (r crashRequest) check() error {
	if !slices.Contains(lab.HostCrashes, r.How) {
		return fmt.Errorf("how is %q; it is one of %v", r.How, lab.HostCrashes)
	}
	return nil
}

type keysRequest struct {
	Keys []byte `json:"keys"`
}

// serveMachine adds what only a machine has.
func (s *server) serveMachine(mux *http.ServeMux, m Machine) {
	mux.HandleFunc("GET /v1/console", func(w http.ResponseWriter, request *http.Request) {
		s.follow(w, request, func(ctx context.Context, to io.Writer, follow bool) error {
			return m.Console(ctx, nil, to, follow)
		})
	})
	mux.HandleFunc("POST /v1/console/keys", func(w http.ResponseWriter, request *http.Request) {
		r, err := decode[keysRequest](request.Body)
		if err != nil {
			s.answer(w, nil, invalid(err))
			return
		}
		s.answer(w, empty{}, m.Type(r.Keys))
	})
	mux.Handle("POST /v1/machine/crash", change(s, func(ctx context.Context, r crashRequest) (Status, error) {
		return s.after(ctx, m.CrashHost(ctx, r.How))
	}))
	mux.Handle("POST /v1/machine/boot", change(s, func(ctx context.Context, _ empty) (Status, error) {
		return s.after(ctx, m.Boot(ctx))
	}))
}

// MachineClient is a Client of a member whose host is a Machine.
type MachineClient struct{ *Client }

var _ Machine = MachineClient{}

// Console writes what the machine prints, and types what in gives.
func (c MachineClient) Console(ctx context.Context, in io.Reader, out io.Writer, follow bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if in != nil {
		go func() {
			buffer := make([]byte, 1024)
			for ctx.Err() == nil {
				n, err := in.Read(buffer)
				if n > 0 {
					// A machine that is off hears nothing.
					_ = c.typeKeys(ctx, buffer[:n])
				}
				if err != nil {
					return
				}
			}
		}()
	}
	answer, err := c.open(ctx, "GET", fmt.Sprintf("console?follow=%v", follow), nil)
	if err != nil {
		return errors.Join(ctx.Err(), err)
	}
	err = c.drain(answer, out, "console")
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Type sends keys to the console.
func (c MachineClient) Type(keys []byte) error { return c.typeKeys(context.Background(), keys) }

func (c MachineClient) typeKeys(ctx context.Context, keys []byte) error {
	return c.call(ctx, "POST", "console/keys", keysRequest{keys}, nil)
}

func (c MachineClient) CrashHost(ctx context.Context, how lab.HostCrash) error {
	return c.call(ctx, "POST", "machine/crash", crashRequest{how}, nil)
}

func (c MachineClient) Boot(ctx context.Context) error {
	return c.call(ctx, "POST", "machine/boot", nil, nil)
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/lab/wire"
)

// Bounds of a forwarder.
const (
	forwardDial   = 5 * time.Second
	forwardBuffer = 32 << 10
)

// Forwarder passes TCP connections on across a member's link. While the link is
// down it is as silent as a machine without power: it passes nothing on and ends
// no connection. When the link is back it goes on, and ends the connections
// whose other side has gone meanwhile.
type Forwarder struct {
	listener net.Listener
	to       string
	dial     func(ctx context.Context, address string) (net.Conn, error)
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	running  sync.WaitGroup
	rules    *wire.Streams // what rules of the network make of it; nil is nothing

	mu sync.Mutex
	up chan struct{} // closed while the link is up
}

// NewForwarder listens and forwards until it is closed. The link is up.
func NewForwarder(ctx context.Context, f Forward) (*Forwarder, error) {
	dialer := &net.Dialer{Timeout: forwardDial}
	return NewForwarderBy(ctx, f, func(ctx context.Context, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", address)
	})
}

// NewForwarderBy is NewForwarder for an other side that moves; dial gives a
// *net.TCPConn.
func NewForwarderBy(ctx context.Context, f Forward, dial func(ctx context.Context, to string) (net.Conn, error)) (*Forwarder, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", f.Listen)
	if err != nil {
		return nil, fmt.Errorf("forward %s to %s: %w", f.Listen, f.To, err)
	}
	fw := &Forwarder{listener: l, to: f.To, dial: dial, up: make(chan struct{})}
	close(fw.up)
	fw.ctx, fw.cancel = context.WithCancel(context.WithoutCancel(ctx))
	fw.running.Go(fw.accept)
	return fw, nil
}

// Obey has what is passed on from now on follow rules of the network.
func (f *Forwarder) Obey(rules *wire.Streams) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = rules
}

// Addr is where it listens.
func (f *Forwarder) Addr() string { return f.listener.Addr().String() }

// SetLink takes the link down and up.
func (f *Forwarder) SetLink(up bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.up:
		if !up {
			f.up = make(chan struct{})
		}
	default:
		if up {
			close(f.up)
		}
	}
}

// Close ends it and all of its connections.
func (f *Forwarder) Close() error {
	f.cancel()
	err := f.listener.Close()
	f.running.Wait()
	return err
}

// linked waits for the link to be up; false is the forwarder's end.
func (f *Forwarder) linked() bool {
	for {
		f.mu.Lock()
		up := f.up
		f.mu.Unlock()
		select {
		case <-up:
			return f.ctx.Err() == nil
		case <-f.ctx.Done():
			return false
		}
	}
}

func (f *Forwarder) isUp() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.up:
		return true
	default:
		return false
	}
}

func (f *Forwarder) accept() {
	for {
		c, err := f.listener.Accept()
		switch {
		case err == nil:
			f.running.Go(func() { f.serve(c.(*net.TCPConn)) })
			continue
		case f.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		}
		// Out of descriptors, most likely: others will end.
		slog.Warn("accept a connection to forward", "to", f.to, "error", err)
		select {
		case <-time.After(50 * time.Millisecond):
		case <-f.ctx.Done():
			return
		}
	}
}

// serve passes one connection on. What nobody answers at the other end is
// refused at once, as far as a connection that is open already can be.
func (f *Forwarder) serve(near *net.TCPConn) {
	defer near.Close()
	f.mu.Lock()
	rules := f.rules
	f.mu.Unlock()
	toll := func(wire.Direction, int) error { return nil }
	if rules != nil {
		number := rules.Begin()
		toll = func(to wire.Direction, n int) error { return rules.Pass(f.ctx, number, to, n) }
	}
	far, err := f.reach(toll)
	if err != nil {
		_ = near.SetLinger(0) // a reset
		return
	}
	defer far.Close()
	stop := context.AfterFunc(f.ctx, func() { near.Close(); far.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { f.pass(far, near, wire.In, toll) })
	both.Go(func() { f.pass(near, far, wire.Out, toll) })
	both.Wait()
}

// reach dials when there is a link. An error while the link is down again is
// not of the other side's making.
func (f *Forwarder) reach(toll func(wire.Direction, int) error) (*net.TCPConn, error) {
	if err := toll(wire.In, 0); err != nil {
		return nil, err
	}
	for {
		if !f.linked() {
			return nil, f.ctx.Err()
		}
		c, err := f.dial(f.ctx, f.to)
		if err == nil {
			return c.(*net.TCPConn), nil
		}
		if f.isUp() || f.ctx.Err() != nil {
			return nil, err
		}
	}
}

// pass copies one direction. An end of it is passed on as what it was: half of
// the connection, or, after a reset, all of it.
func (f *Forwarder) pass(to, from *net.TCPConn, way wire.Direction, toll func(wire.Direction, int) error) {
	buf := make([]byte, forwardBuffer)
	for {
		n, err := from.Read(buf)
		if !f.linked() {
			return
		}
		if toll(way, n) != nil {
			f.reset(to, from)
			return
		}
		if n > 0 {
			if _, failed := to.Write(buf[:n]); failed != nil {
				f.reset(to, from)
				return
			}
		}
		var refused net.Error
		switch {
		case err == nil:
		case errors.As(err, &refused):
			f.reset(to, from)
			return
		default: // io.EOF
			_ = to.CloseWrite()
			return
		}
	}
}

// reset ends both sides, unless it is the link that is to blame for what failed.
func (f *Forwarder) reset(conns ...*net.TCPConn) {
	if !f.linked() {
		return
	}
	for _, c := range conns {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}

// Package qmp owns QEMU's machine protocol: a small client with commands,
// errors, events and deadlines. QEMU answers a command at a time and sends
// events in between, one JSON object a line.
package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// maxLine bounds a line, in bytes: query-qmp-schema gives the longest, about
// 200 KiB.
const maxLine = 4 << 20

// ErrClosed says that QEMU has gone, or the client was closed.
var ErrClosed = errors.New("QEMU has closed its monitor")

// Client speaks to one QEMU. Its methods may be called from any number of
// goroutines.
type Client struct {
	conn    net.Conn
	version string
	onEvent func(Event)

	write sync.Mutex // a command's line goes out whole

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan message
	err     error
	done    chan struct{}
}

// New greets QEMU on conn, which the client then owns, and makes it take
// commands. onEvent is called for each event in order, and may be nil; it must
// not wait for a command.
func New(ctx context.Context, conn net.Conn, onEvent func(Event)) (*Client, error) {
	c := &Client{conn: conn, onEvent: onEvent, waiting: map[uint64]chan message{}, done: make(chan struct{})}
	greeted := make(chan string, 1)
	go c.read(greeted)
	select {
	case c.version = <-greeted:
	case <-c.done:
		return nil, fmt.Errorf("greet QEMU: %w", c.err)
	case <-ctx.Done():
		c.Close()
		return nil, fmt.Errorf("greet QEMU: %w", ctx.Err())
	}
	if err := c.Execute(ctx, "qmp_capabilities", nil, nil); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Version is QEMU's: 7.2.22.
func (c *Client) Version() string { return c.version }

// Done is closed when QEMU has gone.
func (c *Client) Done() <-chan struct{} { return c.done }

// Execute sends a command and waits for its answer, which it decodes into out
// unless that is nil. A refusal is an *Error. When ctx ends first, the command
// may still be carried out.
func (c *Client) Execute(ctx context.Context, command string, arguments, out any) error {
	answer := make(chan message, 1)
	c.mu.Lock()
	c.next++
	id := c.next
	c.waiting[id] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()
	line, err := request(id, command, arguments)
	if err != nil {
		return fmt.Errorf("send %s to QEMU: %w", command, err)
	}
	if err := c.send(ctx, line); err != nil {
		return fmt.Errorf("send %s to QEMU: %w", command, err)
	}
	select {
	case m := <-answer:
		if m.refused != nil {
			m.refused.Command = command
			return m.refused
		}
		if out == nil {
			return nil
		}
		if err := json.Unmarshal(m.result, out); err != nil {
			return fmt.Errorf("decode QEMU's answer to %s: %w", command, err)
		}
		return nil
	case <-c.done:
		return fmt.Errorf("wait for QEMU's answer to %s: %w", command, c.err)
	case <-ctx.Done():
		return fmt.Errorf("wait for QEMU's answer to %s: %w", command, ctx.Err())
	}
}

// send writes a line. A frozen QEMU reads nothing, and the socket may be full.
func (c *Client) send(ctx context.Context, line []byte) error {
	c.write.Lock()
	defer c.write.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	deadline, _ := ctx.Deadline() // none is the zero time, which is none here too
	if err := c.conn.SetWriteDeadline(deadline); err != nil {
		return ErrClosed
	}
	defer context.AfterFunc(ctx, func() { _ = c.conn.SetWriteDeadline(time.Unix(1, 0)) })()
	if n, err := c.conn.Write(line); err != nil {
		if n > 0 {
			// Half a line: whatever follows would be read as its rest.
			c.fail(err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// The connection's deadline is ctx's, and may be noticed first.
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return context.DeadlineExceeded
		}
		return err
	}
	return nil
}

func (c *Client) read(greeted chan<- string) {
	s := bufio.NewScanner(c.conn)
	s.Buffer(nil, maxLine)
	first := true
	for s.Scan() {
		if len(s.Bytes()) == 0 {
			continue
		}
		m, err := parse(s.Bytes())
		if err == nil && first != m.greeting {
			err = errors.New("QEMU's first line, and no other, must be its greeting")
		}
		if err != nil {
			c.fail(err)
			return
		}
		first = false
		switch {
		case m.greeting:
			greeted <- m.version
		case m.event != nil:
			if c.onEvent != nil {
				e := *m.event
				e.Data = append(json.RawMessage(nil), e.Data...)
				c.onEvent(e)
			}
		default:
			c.deliver(m)
		}
	}
	if err := s.Err(); err != nil {
		c.fail(fmt.Errorf("%w: %w", ErrClosed, err))
		return
	}
	c.fail(ErrClosed)
}

// deliver gives an answer to who waits for it. One without a number, as QEMU
// gives to a line that it could not parse, is for nobody.
func (c *Client) deliver(m message) {
	m.result = append(json.RawMessage(nil), m.result...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer, ok := c.waiting[m.id]; ok {
		delete(c.waiting, m.id)
		answer <- m
	}
}

// fail ends the client; the first reason counts.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	c.conn.Close()
}

// Close ends the connection, not QEMU.
func (c *Client) Close() { c.fail(ErrClosed) }

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/etcdlab/etcdlab/lab"
)

// Logs writes etcd's log.
func (c *Client) Logs(ctx context.Context, w io.Writer, follow bool) error {
	answer, err := c.open(ctx, "GET", fmt.Sprintf("logs?follow=%v", follow), nil)
	if err != nil {
		return errors.Join(ctx.Err(), err)
	}
	err = c.drain(answer, w, "log")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// TrimLog empties etcd's log.
func (c *Client) TrimLog(ctx context.Context) error {
	return c.call(ctx, "POST", "logs/trim", nil, nil)
}

// Exec runs a command beside the agent. A read of in may still be under way
// when it returns.
func (c *Client) Exec(ctx context.Context, argv []string, in io.Reader, out, errout io.Writer) (exit int, err error) {
	answer, err := c.openAs(ctx, "POST", "exec", execRequest{argv}, execProtocol)
	if err != nil {
		return 0, err
	}
	conn := answer.Body
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	to, ok := conn.(io.Writer)
	if !ok {
		return 0, fmt.Errorf("exec in %s: the connection is not for both directions", c.member)
	}
	f := &framer{w: to}
	go func() {
		if in != nil {
			// What fails is the connection, which its reader is told of.
			_, _ = io.Copy(f.to(frameIn), in)
		}
		_ = f.frame(frameInEnd, nil)
	}()
	for {
		kind, data, err := readFrame(conn)
		if ctx.Err() != nil {
			return 0, fmt.Errorf("exec in %s: %w", c.member, ctx.Err())
		}
		if err != nil {
			return 0, fmt.Errorf("exec in %s: its agent's answer ends early: %w", c.member, err)
		}
		switch kind {
		case frameOut:
			_, err = out.Write(data)
		case frameError:
			_, err = errout.Write(data)
		case frameExit:
			return c.exited(data)
		}
		if err != nil {
			return 0, fmt.Errorf("exec in %s: pass on its output: %w", c.member, err)
		}
	}
}

// exited reads how the command ended, and what is wrong if it could not be run.
func (c *Client) exited(data []byte) (int, error) {
	var e exitFrame
	if err := json.Unmarshal(data, &e); err != nil {
		return 0, fmt.Errorf("exec in %s: decode how it ended: %w", c.member, err)
	}
	if e.Error == nil {
		return e.Exit, nil
	}
	// Its message says already what could not be run, and where.
	if e.Error.Kind == kindInvalid {
		return 0, lab.Misuse("%w", e.Error)
	}
	return 0, e.Error
}

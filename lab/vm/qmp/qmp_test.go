package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "x"}, "capabilities": ["oob"]}}` + "\r\n"

// fake is a QEMU: it answers each line with what answer gives, lines of its own.
func fake(t *testing.T, answer func(command string, id uint64) string) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan struct{})
	t.Cleanup(func() { server.Close(); <-done })
	go func() {
		defer close(done)
		if _, err := fmt.Fprint(server, greeting); err != nil {
			return
		}
		s := bufio.NewScanner(server)
		for s.Scan() {
			var r struct {
				Execute string
				ID      uint64
			}
			_ = json.Unmarshal(s.Bytes(), &r)
			reply := fmt.Sprintf(`{"return": {}, "id": %d}`, r.ID)
			if r.Execute != "qmp_capabilities" {
				reply = answer(r.Execute, r.ID)
			}
			if reply == "close" {
				server.Close()
				return
			}
			if _, err := fmt.Fprint(server, reply+"\r\n"); err != nil {
				return
			}
		}
	}()
	return client
}

func dial(t *testing.T, conn net.Conn, onEvent func(Event)) *Client {
	t.Helper()
	c, err := New(t.Context(), conn, onEvent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestExecute(t *testing.T) {
	c := dial(t, fake(t, func(command string, id uint64) string {
		switch command {
		case "query-status":
			return fmt.Sprintf(`{"return": {"status": "running"}, "id": %d}`, id)
		case "odd":
			return fmt.Sprintf(`{"return": [], "id": %d}`, id)
		}
		return fmt.Sprintf(`{"id": %d, "error": {"class": "CommandNotFound", "desc": "The command %s has not been found"}}`, id, command)
	}), nil)
	if c.Version() != "7.2.22" {
		t.Errorf("version %q", c.Version())
	}
	var s struct{ Status string }
	if err := c.Execute(t.Context(), "query-status", nil, &s); err != nil || s.Status != "running" {
		t.Errorf("query-status: %v, %+v", err, s)
	}
	if err := c.Execute(t.Context(), "odd", nil, &s); err == nil || !strings.Contains(err.Error(), "odd") {
		t.Errorf("an answer of another form: %v", err)
	}
	var refused *Error
	if err := c.Execute(t.Context(), "nonsense", nil, nil); !errors.As(err, &refused) || refused.Class != "CommandNotFound" || refused.Command != "nonsense" {
		t.Errorf("refusal: %v", err)
	}
}

func TestManyAtOnceWithEventsBetween(t *testing.T) {
	var mu sync.Mutex
	var events []string
	c := dial(t, fake(t, func(command string, id uint64) string {
		return fmt.Sprintf(`{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {"guest": true, "reason": "%s"}}`+"\n"+`{"return": %q, "id": %d}`, command, command, id)
	}), func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e.Field("reason"))
	})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			var got string
			want := fmt.Sprintf("command-%d", i)
			if err := c.Execute(t.Context(), want, map[string]int{"i": i}, &got); err != nil || got != want {
				t.Errorf("%s got %q, %v", want, got, err)
			}
		})
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	if len(events) != 50 {
		t.Errorf("%d events", len(events))
	}
}

func TestQEMUGoes(t *testing.T) {
	c := dial(t, fake(t, func(string, uint64) string { return "close" }), nil)
	if err := c.Execute(t.Context(), "quit", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("quit: %v", err)
	}
	<-c.Done()
	if err := c.Execute(t.Context(), "again", nil, nil); err == nil {
		t.Error("a command to a QEMU that has gone succeeded")
	}
}

func TestDeadlines(t *testing.T) {
	silent := make(chan struct{})
	c := dial(t, fake(t, func(string, uint64) string { <-silent; return "{}" }), nil)
	t.Cleanup(func() { close(silent) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Execute(ctx, "stuck", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	// It reads nothing any more, so this one cannot even be sent.
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Execute(ctx, "stuck", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("not sent: %v", err)
	}
}

// late is a context whose end nobody has noticed yet: the runtime's timer for
// the connection's deadline may fire before the context's own.
type late struct{ context.Context }

func (late) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

func TestConnectionsDeadlineIsTheContexts(t *testing.T) {
	c := dial(t, fake(t, func(string, uint64) string { return "{}" }), nil)
	if err := c.Execute(late{t.Context()}, "stuck", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("not sent in time: %v", err)
	}
}

func TestNoGreeting(t *testing.T) {
	for _, first := range []string{"", `{"return": {}}` + "\n", "SSH-2.0\n"} {
		client, server := net.Pipe()
		go func() { fmt.Fprint(server, first); server.Close() }()
		if c, err := New(t.Context(), client, nil); err == nil {
			c.Close()
			t.Errorf("%q passed for QEMU's greeting", first)
		}
	}
	client, server := net.Pipe()
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := New(ctx, client, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent QEMU: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		greeting, `{"return": {}, "id": 1}`, `{"id": 2, "error": {"class": "GenericError", "desc": "no"}}`,
		`{"timestamp": {"seconds": 1795356728, "microseconds": 700415}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}`,
		`{"event": "RESET"}`, `{"return": null}`, `{}`, `[]`, `{"id": -1, "return": {}}`, `{"QMP": null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := parse(line)
		if err != nil {
			return
		}
		if m.event != nil {
			_ = m.event.Field("reason")
		}
		if !m.greeting && m.event == nil && m.result == nil && m.refused == nil {
			t.Errorf("%q is nothing", line)
		}
	})
}

package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// serveFake serves the host in a directory until the test ends, and gives a
// client.
func serveFake(t *testing.T, f *fake) *Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // short enough for a socket
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	serveAt(t, f, dir, "", nil)
	c := NewClient("m1", At{Dir: dir}, map[string]string{"Linker": "it has no link"})
	t.Cleanup(c.Close)
	return c
}

func serveAt(t *testing.T, h Host, dir, listen string, files *lab.TLSFiles) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan error, 1), make(chan error, 1)
	go func() { done <- ServeHost(ctx, dir, listen, files, h, func(err error) { ready <- err }) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
	select {
	case err := <-ready:
		must(t, err)
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
}

func TestClientOfAnyHost(t *testing.T) {
	ctx := context.Background()
	f := &fake{}
	c := serveFake(t, f)
	st, err := c.Status(ctx)
	if err != nil || st.State != lab.StateRunning {
		t.Errorf("%+v %v", st, err)
	}
	must(t, c.Start(ctx))
	must(t, c.SetLink(ctx, false))
	if z, err := c.Freeze(ctx, time.Second); err != nil || !z.Observed {
		t.Errorf("%+v %v", z, err)
	}
	var e *Error
	if err := c.Kill(ctx); !errors.As(err, &e) || e.Kind != kindConflict || e.Message != "it is dead already" {
		t.Errorf("kill: %v", err)
	}
	if err := c.Thaw(ctx); err == nil || !strings.Contains(err.Error(), "of m1: it is\n stuck") {
		t.Errorf("thaw: %v", err)
	}
	var unsupported *lab.UnsupportedError
	if _, err := c.Cut(ctx); !errors.As(err, &unsupported) || *unsupported != (lab.UnsupportedError{Member: "m1", Capability: "PowerCutter", Reason: "no disk"}) {
		t.Errorf("cut: %v", err)
	}
	var unmountable *lab.UnmountableError
	if _, err := c.Restore(ctx, disk.Drop, 1); !errors.As(err, &unmountable) || unmountable.Reason != "torn" || unmountable.Choice.Seed != 7 {
		t.Errorf("restore: %v", err)
	}
	must(t, c.SetNetRules(ctx, "x", []lab.NetRule{{Action: lab.NetDrop, Side: lab.NetPeer}}, 9))
	if rules, err := c.NetRules(ctx); err != nil || len(rules) != 1 || rules[0].Side != lab.NetPeer || rules[0].Packets != 3 || rules[0].Hit != 2 {
		t.Errorf("rules %+v %v", rules, err)
	}
	if err := c.SetNetRules(ctx, "x", []lab.NetRule{{}}, 9); !errors.As(err, &e) || e.Kind != kindInvalid {
		t.Errorf("rules: %v", err)
	}
	if err := c.SetDiskFaults(ctx, nil); !errors.As(err, &e) || e.Kind != kindInvalid {
		t.Errorf("faults: %v", err)
	}
	var buf bytes.Buffer
	if err := c.CutLog(ctx, &buf); err == nil || !strings.Contains(err.Error(), "the rest is lost") || buf.String() != "half" {
		t.Errorf("cut log: %q %v", &buf, err)
	}
	buf.Reset()
	if how, err := c.Archive(ctx, &buf); how != "frozen" || err != nil || buf.String() != "tar" {
		t.Errorf("archive: %q %q %v", how, &buf, err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := c.Hold(short, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hold: %v", err)
	}
	if c.Lacks("Linker") != "it has no link" || c.Lacks("Runner") != "" {
		t.Error("what it lacks")
	}
	if got := f.said(); !strings.HasPrefix(got, "start; link false; freeze 1s") {
		t.Errorf("called: %s", got)
	}
}

func TestShutdownEndsTheServer(t *testing.T) {
	dir, err := os.MkdirTemp("", "agent")
	must(t, err)
	defer os.RemoveAll(dir)
	f := &fake{}
	ready, done := make(chan error, 1), make(chan error, 1)
	go func() {
		done <- ServeHost(context.Background(), dir, "", nil, f, func(err error) { ready <- err })
	}()
	must(t, <-ready)
	c := NewClient("m1", At{Dir: dir}, nil)
	defer c.Close()
	must(t, c.Shutdown(context.Background(), true))
	must(t, <-done)
	if f.said() != "shutdown true" {
		t.Error(f.said())
	}
	if _, err := c.Status(context.Background()); err == nil {
		t.Error("it still answers")
	}
	// One that cannot listen has nobody to shut its host down later.
	g := &fake{}
	if err := ServeHost(context.Background(), filepath.Join(dir, "none"), "", nil, g, func(error) {}); err == nil || g.said() != "shutdown false" {
		t.Errorf("%v %s", err, g.said())
	}
}

func TestLogs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	host := &fake{log: func(ctx context.Context, w io.Writer, follow bool) error { return Follow(ctx, file, w, follow) }}
	c := serveFake(t, host)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var none bytes.Buffer
	if err := c.Logs(ctx, &none, false); err != nil || none.Len() != 0 {
		t.Errorf("a log that is not there: %q %v", &none, err)
	}
	in, out := io.Pipe()
	ended := make(chan error, 1)
	follow, stop := context.WithCancel(ctx)
	go func() { ended <- c.Logs(follow, out, true) }()
	for _, line := range []string{"one\n", "two\n"} {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		must(t, err)
		_, err = f.WriteString(line)
		must(t, errors.Join(err, f.Close()))
		got := make([]byte, len(line))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != line {
			t.Fatalf("%q %v", got, err)
		}
	}
	// Emptied under who follows it, it is read from its new beginning.
	must(t, errors.Join(Trim(file), Trim(file+"-none"), c.TrimLog(ctx)))
	must(t, os.WriteFile(file, []byte("3\n"), 0o600))
	got := make([]byte, 2)
	if _, err := io.ReadFull(in, got); err != nil || string(got) != "3\n" {
		t.Fatalf("%q %v", got, err)
	}
	if host.said() != "trim" {
		t.Error(host.said())
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("followed to its end: %v", err)
	}
	var all bytes.Buffer
	if err := c.Logs(ctx, &all, false); err != nil || all.String() != "3\n" {
		t.Errorf("%q %v", &all, err)
	}
}

package nbd

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
)

func TestSocketIsTheOwners(t *testing.T) {
	_, d := attachNew(t, disk.Options{})
	info, err := os.Stat(d.Path())
	must(t, err)
	if info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
		t.Errorf("the socket is %v", info.Mode())
	}
	if entries, _ := os.ReadDir(filepath.Dir(d.Path())); len(entries) != 1 {
		t.Errorf("beside the socket there is %v", entries)
	}
}

// What a killed server leaves is replaced; one that lives keeps its clients.
func TestStaleSocketIsReplaced(t *testing.T) {
	dir := newDir(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, SocketName), Net: "unix"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	must(t, l.Close()) // as the kernel does for a process that is killed
	e := newEngine(t, disk.Options{})
	d, err := Attach(t.Context(), e, dir)
	must(t, err)
	must(t, dial(t, d.Path()).Sync())
	if _, err := Attach(t.Context(), e, dir); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("a second server on one socket gives %v", err)
	}
	must(t, dial(t, d.Path()).Sync())
	must(t, d.Detach(t.Context()))
	must(t, d.Detach(t.Context()))
	if _, err := os.Stat(d.Path()); !os.IsNotExist(err) {
		t.Errorf("after Detach the socket is there: %v", err)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(newDir(t), strings.Repeat("long", 20))
	if _, err := Attach(t.Context(), newEngine(t, disk.Options{}), dir); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("a path that no socket can have gives %v", err)
	}
}

// Detach ends while a flush is held back only once that one ends, and can be
// called again.
func TestDetachOfHeldFlush(t *testing.T) {
	e, d := attachNew(t, disk.Options{})
	c := dial(t, d.Path())
	e.Hold(t.Context(), 0)
	_, err := c.WriteAt(filled(1, 4096), 0)
	must(t, err)
	flushed, err := c.start(cmdFlush, 0, 0, 0, nil, nil)
	must(t, err)
	e.Hold(t.Context(), time.Minute)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := d.Detach(short); err == nil || !strings.Contains(err.Error(), "held back") {
		t.Errorf("detach beside a held flush gives %v", err)
	}
	if err := <-flushed; err == nil {
		t.Error("the client of a server that is gone was told that its flush completed")
	}
	e.Cut()
	must(t, d.Detach(t.Context()))
}

// What a killed client had sent must not reach the disk after the restore: the
// requests that are still in its socket end before Disconnect does.
func TestNothingArrivesAfterDisconnect(t *testing.T) {
	e, d := attachNew(t, disk.Options{})
	for round := range uint64(20) {
		c := dial(t, d.Path())
		for i := range int64(200) {
			if _, err := c.start(cmdWrite, cmdFlagFUA, i*4096, 4096, filled(byte(round)+1, 4096), nil); err != nil {
				break
			}
		}
		e.Cut()
		must(t, d.Disconnect(t.Context()))
		_, err := e.Restore(disk.Drop, round)
		must(t, err)
		if n := d.Connections(); n != 0 {
			t.Fatalf("%d connections after Disconnect", n)
		}
		before := e.Stats().Writes
		time.Sleep(time.Millisecond)
		if after := e.Stats().Writes; after != before {
			t.Fatalf("round %d: %d writes reached the disk after the restore", round, after-before)
		}
		c.c.Close()
	}
	must(t, dial(t, d.Path()).Sync())
}

// Many clients cannot keep the owner out for good, nor cost more than so many.
func TestTooManyClients(t *testing.T) {
	_, d := attachNew(t, disk.Options{})
	for range maxConnections {
		greet(t, d.Path())
	}
	c, err := net.Dial("unix", d.Path())
	must(t, err)
	defer c.Close()
	wantClosed(t, c)
	must(t, d.Disconnect(t.Context()))
	must(t, dial(t, d.Path()).Sync())
}

// serveEnv makes the test binary a server, for a kill.
const serveEnv = "ETCDLAB_TEST_NBD"

func serveChild(dir string) error {
	e, err := disk.Open(disk.Options{Dir: dir})
	if err != nil {
		return err
	}
	if _, err := Attach(context.Background(), e, dir); err != nil {
		return err
	}
	os.Stdout.WriteString("serves\n")
	select {}
}

// A server that is killed loses what was in its cache and nothing else, and the
// next one takes its place.
func TestKilledServer(t *testing.T) {
	dir := newDir(t)
	must(t, disk.Create(disk.Options{Dir: dir, Size: 1 << 20}))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	_, err = out.Read(make([]byte, 16))
	must(t, err)
	c := dial(t, filepath.Join(dir, SocketName))
	_, err = c.WriteAt(filled(1, 4096), 0)
	must(t, err)
	must(t, c.Sync())
	_, err = c.WriteAt(filled(2, 4096), 0)
	must(t, err)
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	<-c.ended
	e, err := disk.Open(disk.Options{Dir: dir})
	must(t, err)
	defer e.Close()
	d, err := Attach(t.Context(), e, dir)
	must(t, err)
	p := make([]byte, 4096)
	_, err = dial(t, d.Path()).ReadAt(p, 0)
	must(t, err)
	if p[0] != 1 {
		t.Errorf("the next server serves %d", p[0])
	}
	must(t, d.Detach(t.Context()))
}

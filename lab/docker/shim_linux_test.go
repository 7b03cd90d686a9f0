package docker

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/etcdlab/etcdlab/lab"
)

// A kill -9 of what the engine has beside a container ends the container, and
// leaves its disk and its log.
func TestKilledShim(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, nil)
	l := f.up(t)
	_, err := dial(t, l, 0).Put(f.ctx, "k", "v")
	must(t, err)
	killed := false
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range procs {
		line, _ := os.ReadFile(file)
		if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil && strings.Contains(string(line), "containerd-shim") && strings.Contains(string(line), l.Members[0].(*member).id) {
			killed = syscall.Kill(pid, syscall.SIGKILL) == nil
		}
	}
	if !killed {
		t.Skip("missing: a shim of this machine's that may be killed")
	}
	until(t, "m1 to be lost", func() bool {
		i := info(t, l.Members[0])
		return i.State == lab.StateLost && strings.Contains(i.Exit, "etcdlab up "+l.Name)
	})
	until(t, "the log of m1", func() bool {
		var log bytes.Buffer
		return can[lab.Logger](t, l.Members[0]).Logs(f.ctx, &log, false) == nil && strings.Contains(log.String(), "ready to serve client requests")
	})
	l = f.up(t)
	r, err := dial(t, l, 0).Get(f.ctx, "k")
	must(t, err)
	if len(r.Kvs) != 1 {
		t.Errorf("m1 has %v", r.Kvs)
	}
}

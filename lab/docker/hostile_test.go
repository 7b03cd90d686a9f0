package docker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd/etcdtest"
)

// What somebody with the docker command can do to a lab; up brings it back, and
// what was acknowledged is there.
func TestHostile(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 3, nil)
	l := f.up(t)
	etcdtest.Put(t, dial(t, l, 0), "k", "v")
	names := func(i int) string { return containerName(f.spec.Name, f.spec.Members[i].Name) }
	back := func(doing string) {
		t.Helper()
		l = f.up(t)
		for i := range l.Members {
			r, err := dial(t, l, i).Get(f.ctx, "k")
			must(t, err)
			if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != "v" {
				t.Errorf("after %s %s has %v", doing, l.Members[i].Name(), r.Kvs)
			}
			if p := f.reopen(t).Partial; p != "" {
				t.Errorf("after %s: %s", doing, p)
			}
		}
	}
	lost := func(i int, want string) {
		t.Helper()
		until(t, l.Members[i].Name()+" to be lost", func() bool { return info(t, l.Members[i]).State == lab.StateLost })
		if got := info(t, l.Members[i]).Exit; !strings.Contains(got, want) || !strings.Contains(got, "etcdlab up "+l.Name) {
			t.Errorf("%q does not say %q", got, want)
		}
	}

	// Removed by hand: made again on its old disk.
	must(t, f.api.ContainerRemove(f.ctx, names(0), container.RemoveOptions{Force: true}))
	lost(0, "container is gone")
	if p := f.reopen(t).Partial; !strings.Contains(p, "container of m1 is gone") {
		t.Errorf("partial: %q", p)
	}
	back("docker rm -f")

	// Restarted by hand, an engine's restart, a kill: other ports.
	must(t, f.api.ContainerRestart(f.ctx, names(1), container.StopOptions{}))
	until(t, "m2 to be lost", func() bool { i := info(t, l.Members[1]); return i.State == lab.StateLost })
	must(t, f.api.ContainerKill(f.ctx, names(2), "KILL"))
	lost(2, "is exited with status 137")
	back("docker restart and docker kill")

	// Paused, and taken off the network.
	must(t, f.api.ContainerPause(f.ctx, names(0)))
	lost(0, "is paused")
	must(t, f.api.NetworkDisconnect(f.ctx, networkName(f.spec.Name), names(1), true))
	back("docker pause and docker network disconnect")

	// What a kill -9 of a crash can leave: a disk that is held, one without
	// power, a frozen etcd without a link.
	_, err := can[lab.PowerCutter](t, l.Members[0]).Hold(f.ctx, time.Millisecond)
	must(t, err)
	_, err = can[lab.PowerCutter](t, l.Members[1]).Cut(f.ctx)
	must(t, err)
	_, err = can[lab.Pauser](t, l.Members[2]).Freeze(f.ctx, time.Second)
	must(t, err)
	must(t, can[lab.Linker](t, l.Members[2]).SetLink(f.ctx, false))
	back("a crash that did not end")

	// And a file system that has met a failure of its disk.
	must(t, can[lab.DiskFaulter](t, l.Members[0]).SetDiskFaults(f.ctx, []disk.Fault{{Op: "flush", Nth: 1, Count: 1}}))
	ask, cancel := context.WithTimeout(f.ctx, 5*time.Second)
	_, _ = dial(t, l, 0).Put(ask, "other", "v")
	cancel()
	until(t, "etcd of m1 to end", func() bool { return info(t, l.Members[0]).State == lab.StateStopped })
	back("a failed flush")

	// An engine that was restarted has stopped all of them; the network may
	// even be gone.
	for i := range l.Members {
		must(t, f.api.ContainerKill(f.ctx, names(i), "KILL"))
	}
	until(t, "the containers to end", func() bool { return strings.Contains(f.reopen(t).Partial, "m3 is exited") })
	must(t, f.api.NetworkRemove(f.ctx, networkName(f.spec.Name)))
	back("all containers killed and docker network rm")

	// The data of a member cannot be made again.
	must(t, f.api.ContainerRemove(f.ctx, names(0), container.RemoveOptions{Force: true}))
	must(t, f.api.VolumeRemove(f.ctx, volumeName(f.spec.Name, "m1"), true))
	if _, err := f.Up(f.ctx, f.spec, f.images); err == nil || !strings.Contains(err.Error(), "volume of member m1 is gone") {
		t.Errorf("up without a volume: %v", err)
	}
}

// reopen finds the lab again; its connections end with the test.
func (f *fixture) reopen(t testing.TB) *lab.Lab {
	t.Helper()
	l, err := f.Open(f.ctx, f.spec.Name)
	must(t, err)
	t.Cleanup(func() { closeAll(l) })
	return l
}

// A kill -9 of the agent, process 1, ends its container and leaves nothing in
// the kernel, whatever state the member is in.
func TestKilledAgent(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 2, nil)
	l := f.up(t)
	_, err := can[lab.PowerCutter](t, l.Members[0]).Hold(f.ctx, time.Millisecond)
	must(t, err)
	_, err = can[lab.Pauser](t, l.Members[1]).Freeze(f.ctx, time.Second)
	must(t, err)
	kill := func() {
		for _, m := range f.spec.Members {
			// With cgroup v1 a frozen etcd keeps its container from ending.
			short, cancel := context.WithTimeout(f.ctx, time.Second)
			_ = f.api.ContainerKill(short, containerName(f.spec.Name, m.Name), "KILL")
			cancel()
		}
		for _, m := range l.Members {
			until(t, m.Name()+" to be lost", func() bool { return info(t, m).State == lab.StateLost })
		}
	}
	kill()
	l = f.up(t)
	for _, m := range l.Members {
		if i := info(t, m); i.State != lab.StateRunning {
			t.Errorf("%+v", i)
		}
	}
	// Down of what is dead.
	_, err = can[lab.Pauser](t, l.Members[0]).Freeze(f.ctx, time.Second)
	must(t, err)
	kill()
	start := time.Now()
	must(t, f.Down(f.ctx, f.spec.Name))
	t.Logf("down of killed containers took %v", time.Since(start))
	f.nothingLeft(t)
	must(t, f.Down(f.ctx, f.spec.Name)) // of nothing
	if _, err := f.Open(f.ctx, f.spec.Name); !errors.Is(err, lab.ErrNotFound) {
		t.Errorf("open of nothing: %v", err)
	}
}

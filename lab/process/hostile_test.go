//go:build linux

package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/failpoint"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func status(t *testing.T, m lab.Member) agent.Status {
	t.Helper()
	s, err := m.(*member).Status(context.Background())
	must(t, err)
	return s
}

// What a kill -9 of a crash can leave: an etcd that hangs at a failpoint, another
// with one armed, an agent that is stopped.
func TestUpOfWhatACrashLeft(t *testing.T) {
	f := newFixture(t, 3, nil)
	l := f.up(t)
	hangs, armed := info(t, l.Members[0]), info(t, l.Members[1])
	must(t, failpoint.New(hangs.FailpointURL).Set(f.ctx, "raftBeforeSave", `sleep("1h")`))
	must(t, failpoint.New(armed.FailpointURL).Set(f.ctx, "defragBeforeCopy", "panic"))
	must(t, syscall.Kill(status(t, l.Members[2]).Agent, syscall.SIGSTOP))
	until(t, "the stopped agent to be lost", func() bool { return info(t, l.Members[2]).State == lab.StateLost })
	l = f.up(t)
	for _, m := range l.Members {
		points, err := failpoint.New(info(t, m).FailpointURL).List(f.ctx)
		must(t, err)
		for _, p := range points {
			if p.Terms != "" {
				t.Errorf("%s still has %s=%s", m.Name(), p.Name, p.Terms)
			}
		}
	}
	if pid := info(t, l.Members[1]).PID; pid != armed.PID {
		t.Errorf("etcd of m2 was started again (%d, %d), where disarming was enough", armed.PID, pid)
	}
}

// An up that finds a restore under way, asked for by an etcdlab that was killed,
// waits for it instead of beginning another.
func TestUpDuringARestore(t *testing.T) {
	f := newFixture(t, 1, nil)
	l := f.up(t)
	p := can[lab.PowerCutter](t, l.Members[0])
	_, err := p.Cut(f.ctx)
	must(t, err)
	must(t, can[lab.Runner](t, l.Members[0]).Kill(f.ctx))
	restored := make(chan error, 1)
	go func() {
		_, err := p.Restore(f.ctx, disk.Drop, 1)
		restored <- err
	}()
	l = f.up(t)
	// It may also come when up is done.
	if err := <-restored; err != nil && !strings.Contains(err.Error(), "has power") && !strings.Contains(err.Error(), "still runs") {
		t.Error(err)
	}
	if i := info(t, l.Members[0]); i.State != lab.StateRunning {
		t.Errorf("m1 is %s", i.State)
	}
}

// A kill of the agent ends etcd's I/O: nothing that it left open keeps the disk's
// connection, so etcd does not wait in the kernel for good.
func TestEtcdEndsWithItsDisk(t *testing.T) {
	f := newFixture(t, 1, nil)
	l := f.up(t)
	s := status(t, l.Members[0])
	fds, err := filepath.Glob("/proc/" + strconv.Itoa(s.PID) + "/fd/*")
	must(t, err)
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); to == "/dev/fuse" {
			t.Errorf("etcd has /dev/fuse open")
		}
	}
	c := client(t, l, 0)
	must(t, syscall.Kill(s.Agent, syscall.SIGKILL))
	ctx, cancel := context.WithTimeout(f.ctx, 5*time.Second)
	defer cancel()
	_, _ = c.Put(ctx, "k", "v") // fails, or is never answered
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err) // ESRCH: it has ended by itself, for want of a disk
	}
	until(t, "etcd to be reaped", func() bool {
		state, err := os.ReadFile("/proc/" + strconv.Itoa(s.PID) + "/stat")
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}

// Who ended etcd is told: itself, its agent, or somebody else.
func TestWhoEndedEtcd(t *testing.T) {
	f := newFixture(t, 3, nil)
	l := f.up(t)
	must(t, failpoint.New(info(t, l.Members[0]).FailpointURL).Set(f.ctx, "raftBeforeSave", "panic"))
	must(t, can[lab.Runner](t, l.Members[1]).Kill(f.ctx))
	kill9(t, l.Members[2], false, true)
	ask, cancel := context.WithTimeout(f.ctx, 10*time.Second)
	defer cancel()
	_, _ = client(t, l, 0).Put(ask, "k", "v") // it may have panicked before
	for i, want := range []struct {
		outside bool
		exit    string
	}{{false, "exit status 2"}, {false, "signal: killed"}, {true, "signal: killed"}} {
		until(t, "etcd to be stopped", func() bool { return info(t, l.Members[i]).State == lab.StateStopped })
		if got := info(t, l.Members[i]); got.Outside != want.outside || !strings.HasPrefix(got.Exit, want.exit) {
			t.Errorf("m%d ended with %q, by somebody else: %v", i+1, got.Exit, got.Outside)
		}
	}
}

// A host whose disk is full fails the members' disks. That is told apart from
// faults, and up brings the lab back once there is space.
func TestFullHost(t *testing.T) {
	f := newFixture(t, 1, func(s *spec.Lab) { s.Disk.Size = 256 << 20 })
	host := os.Getenv("XDG_STATE_HOME")
	must(t, unix.Mount("tmpfs", host, "tmpfs", 0, "size=128m"))
	t.Cleanup(func() {
		_ = f.Down(context.Background(), f.spec.Name)
		must(t, unix.Unmount(host, 0))
	})
	l := f.up(t)
	c := client(t, l, 0)
	filler := filepath.Join(host, "filler")
	out, err := os.Create(filler)
	must(t, err)
	defer out.Close()
	for block := make([]byte, 64<<10); ; {
		if _, err := out.Write(block); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			break
		}
	}
	value := strings.Repeat("v", 64<<10)
	until(t, "the disk to fail", func() bool {
		ctx, cancel := context.WithTimeout(f.ctx, time.Second)
		defer cancel()
		_, _ = c.Put(ctx, "k", value)
		return info(t, l.Members[0]).Broken != ""
	})
	if why := info(t, l.Members[0]).Broken; !strings.Contains(why, "no space left") {
		t.Errorf("broken: %s", why)
	}
	must(t, os.Remove(filler))
	must(t, out.Close())
	l = f.up(t)
	if i := info(t, l.Members[0]); i.Broken != "" || i.State != lab.StateRunning {
		t.Errorf("after there is space: %+v", i)
	}
}

// A file system that its disk has failed may take no writes any more, also when
// the faults are over and forgotten: up mounts it again.
func TestUpAfterFaultsThatAreOver(t *testing.T) {
	f := newFixture(t, 1, func(s *spec.Lab) { s.Disk.FS = "btrfs" })
	l := f.up(t)
	d := can[lab.DiskFaulter](t, l.Members[0])
	must(t, d.SetDiskFaults(f.ctx, []disk.Fault{{Op: disk.OpWrite}, {Op: disk.OpFlush}}))
	c := client(t, l, 0)
	until(t, "etcd to end", func() bool {
		ctx, cancel := context.WithTimeout(f.ctx, time.Second)
		defer cancel()
		_, _ = c.Put(ctx, "k", "v")
		return info(t, l.Members[0]).State == lab.StateStopped
	})
	must(t, d.SetDiskFaults(f.ctx, nil))
	if s := status(t, l.Members[0]); !s.MetFailures {
		t.Errorf("%+v", s)
	}
	l = f.up(t)
	if s := status(t, l.Members[0]); s.MetFailures || s.State != lab.StateRunning {
		t.Errorf("after up: %+v", s)
	}
}

//go:build linux

package process

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/internal/netns"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/etcd/etcdtest"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// kill9 sends SIGKILL to the agent, the etcd, or both of a member.
func kill9(t *testing.T, m lab.Member, agentToo, etcdToo bool) {
	t.Helper()
	s, err := m.(interface {
		Status(context.Context) (agent.Status, error)
	}).Status(context.Background())
	must(t, err)
	if agentToo {
		must(t, syscall.Kill(s.Agent, syscall.SIGKILL))
	}
	if etcdToo {
		must(t, syscall.Kill(s.PID, syscall.SIGKILL))
	}
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

func TestKillNine(t *testing.T) {
	f := newFixture(t, 3, nil)
	l := f.up(t)
	etcdtest.Put(t, client(t, l, 0), "k", "v")
	// At most a minority loses its un-flushed writes, so all must be there.
	kill9(t, l.Members[0], true, false)
	kill9(t, l.Members[1], false, true)
	until(t, "the agent of m1 to be lost", func() bool { return info(t, l.Members[0]).State == lab.StateLost })
	until(t, "etcd of m2 to be stopped", func() bool { return info(t, l.Members[1]).State == lab.StateStopped })
	l = f.up(t)
	for i := range l.Members {
		r, err := client(t, l, i).Get(f.ctx, "k")
		must(t, err)
		if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != "v" {
			t.Errorf("%s has %v", l.Members[i].Name(), r.Kvs)
		}
	}
	// The same with a disk that is held, one that has no power, and a frozen
	// etcd: up brings each back.
	_, err := can[lab.PowerCutter](t, l.Members[0]).Hold(f.ctx, time.Millisecond)
	must(t, err)
	_, err = can[lab.PowerCutter](t, l.Members[1]).Cut(f.ctx)
	must(t, err)
	_, err = can[lab.Pauser](t, l.Members[2]).Freeze(f.ctx, time.Second)
	must(t, err)
	must(t, can[lab.Linker](t, l.Members[2]).SetLink(f.ctx, false))
	must(t, can[lab.NetShaper](t, l.Members[2]).SetNetRules(f.ctx, "", []lab.NetRule{{Action: lab.NetDrop}}, 1))
	l = f.up(t)
	// A killed agent takes the wire with it that its member speaks by.
	must(t, can[lab.NetShaper](t, l.Members[0]).SetNetRules(f.ctx, "", []lab.NetRule{{Action: lab.NetShape, Delay: time.Millisecond}}, 1))
	must(t, can[lab.NetShaper](t, l.Members[1]).SetNetRules(f.ctx, "", []lab.NetRule{{Action: lab.NetDrop}}, 1))
	kill9(t, l.Members[0], true, false)
	until(t, "the agent of m1 to be lost", func() bool { return info(t, l.Members[0]).State == lab.StateLost })
	l = f.up(t)
	for i := range l.Members {
		_, err := client(t, l, i).Get(f.ctx, "k")
		must(t, err)
	}
	must(t, can[lab.NetShaper](t, l.Members[2]).SetNetRules(f.ctx, "", []lab.NetRule{{Action: lab.NetDrop}}, 1))
	// Down finds everything when nobody is there any more to ask.
	_, err = can[lab.PowerCutter](t, l.Members[0]).Hold(f.ctx, time.Millisecond)
	must(t, err)
	_, err = can[lab.Pauser](t, l.Members[1]).Freeze(f.ctx, time.Second)
	must(t, err)
	for _, m := range l.Members {
		kill9(t, m, true, false)
	}
	start := time.Now()
	must(t, f.Down(f.ctx, l.Name))
	t.Logf("down after kill -9 of all agents took %v", time.Since(start))
	f.nothingLeft(t)
	must(t, f.Down(f.ctx, l.Name)) // of nothing
	if _, err := f.Open(f.ctx, l.Name); !errors.Is(err, lab.ErrNotFound) {
		t.Errorf("open of nothing: %v", err)
	}
}

func TestDownWithoutManifest(t *testing.T) {
	f := newFixture(t, 1, nil)
	f.up(t)
	must(t, os.Remove(filepath.Join(lab.RunDir(f.spec.Name), "lab.json")))
	if _, err := f.Open(f.ctx, f.spec.Name); err == nil || !strings.Contains(err.Error(), "etcdlab down") {
		t.Errorf("open: %v", err)
	}
	labs, err := f.List(f.ctx)
	must(t, err)
	var partial string
	for _, l := range labs {
		if l.Name == f.spec.Name {
			partial = l.Partial
		}
		closeAll(l)
	}
	if partial == "" {
		t.Error("not listed as partial")
	}
	// Several at once.
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := f.Down(f.ctx, f.spec.Name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f.nothingLeft(t)
}

func TestFailedUpLeavesNothing(t *testing.T) {
	f := newFixture(t, 2, func(s *spec.Lab) { s.Etcd.Args = map[string]string{"no-such-flag": "1"} })
	_, err := f.Up(f.ctx, f.spec, f.images)
	if err == nil || !strings.Contains(err.Error(), "member m1 does not take an argument") || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("up: %v", err)
	}
	f.nothingLeft(t)

	f.spec.Etcd.Args = nil
	f.spec.Disk.Size = 4096 // too small for any file system
	if _, err = f.Up(f.ctx, f.spec, f.images); err == nil {
		t.Error("up on a disk of 4 KiB")
	}
	f.nothingLeft(t)
}

func TestInterruptedUp(t *testing.T) {
	f := newFixture(t, 2, nil)
	// Ctrl-C at each step.
	for stop := 1; ; stop++ {
		ctx, cancel := context.WithCancel(f.ctx)
		said := 0
		var mu sync.Mutex
		f.Progress = func(string, ...any) {
			mu.Lock()
			defer mu.Unlock()
			if said++; said == stop {
				cancel()
			}
		}
		l, err := f.Up(ctx, f.spec, f.images)
		cancelled := ctx.Err() != nil
		cancel()
		if err == nil {
			closeAll(l)
			if cancelled {
				t.Errorf("up succeeded although it was cancelled at step %d", stop)
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("step %d: %v", stop, err)
		}
		f.nothingLeft(t)
	}
	// A kill -9 of etcdlab during up: not ready, agents and all left behind.
	m, err := lab.ReadManifest(lab.RunDir(f.spec.Name))
	must(t, err)
	m.Ready = false
	must(t, m.Write(lab.RunDir(f.spec.Name)))
	f.Progress = t.Logf
	f.up(t)
}

func TestSubnetsAndNamesApart(t *testing.T) {
	f := newFixture(t, 1, nil)
	l := f.up(t)
	other := *f.spec
	other.Name = f.spec.Name + "-m1" // m1 is a member of the first
	other.Network.Subnet = l.Subnet
	if _, err := f.Up(f.ctx, &other, f.images); err == nil || !strings.Contains(err.Error(), "in use by lab "+l.Name) {
		t.Errorf("up on a subnet in use: %v", err)
	}
	other.Network.Subnet = "not-a-subnet"
	if _, err := f.Up(f.ctx, &other, f.images); err == nil || !strings.Contains(err.Error(), "network.subnet") {
		t.Errorf("up on a bad subnet: %v", err)
	}
	other.Network.Subnet = ""
	o, err := f.Up(f.ctx, &other, maps.Clone(f.images))
	must(t, err)
	closeAll(o)
	if o.Subnet == l.Subnet {
		t.Errorf("both on %s", o.Subnet)
	}
	must(t, f.Down(f.ctx, other.Name))
	if !netns.Exists(lab.NetNS(l.Name, "m1")) || info(t, l.Members[0]).State != lab.StateRunning {
		t.Errorf("down of %s touched %s", other.Name, l.Name)
	}
}

func TestBadInput(t *testing.T) {
	p := &Provider{}
	s := &spec.Lab{Name: "Bad_Name", Members: spec.Count(1)}
	if _, err := p.Up(context.Background(), s, nil); err == nil || !strings.Contains(err.Error(), "lower-case") {
		t.Error(err)
	}
	s.Name = "good"
	if _, err := p.Up(context.Background(), s, nil); err == nil || !strings.Contains(err.Error(), "binary") {
		t.Error(err)
	}
	if err := p.Down(context.Background(), "../etc"); err == nil {
		t.Error("down of ../etc")
	}
	if _, err := p.Open(context.Background(), "a.b"); err == nil {
		t.Error("open of a.b")
	}
}

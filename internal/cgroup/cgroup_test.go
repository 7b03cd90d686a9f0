//go:build linux

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestState(t *testing.T) {
	for in, want := range map[string]byte{
		"1 (a) S 1":       'S',
		"1 (a) b) D) D 1": 'D',
		"":                '?',
		"1 (a)":           '?',
	} {
		if got := state(in); got != want {
			t.Errorf("state(%q) = %c, want %c", in, got, want)
		}
	}
}

// each runs the test on every hierarchy of this machine.
func each(t *testing.T, test func(t *testing.T, h Hierarchy)) {
	if os.Getuid() != 0 {
		t.Skip("needs root to create cgroups")
	}
	all, err := Hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Skip(ErrNone)
	}
	for _, h := range all {
		t.Run(string(h.Version), func(t *testing.T) { test(t, h) })
	}
}

// eachGroup is each, and a group without a hierarchy.
func eachGroup(t *testing.T, test func(t *testing.T, g *Group)) {
	t.Run("stop", func(t *testing.T) { test(t, NewStop()) })
	each(t, func(t *testing.T, h Hierarchy) { test(t, create(t, h)) })
}

// busy starts a process in the group that counts to a file as fast as it can.
func busy(t *testing.T, g *Group) (count func() int64, cmd *exec.Cmd) {
	t.Helper()
	file := t.TempDir() + "/out"
	join := ":"
	if g.Version() != Stop {
		join = "echo $$ > " + g.ProcsFile()
	}
	// The second one is not the leader of the session.
	cmd = exec.Command("sh", "-c", fmt.Sprintf("%s; sleep 1000 & while :; do echo >> %s; done", join, file))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.Adopt(cmd.Process.Pid)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = g.Thaw(context.Background())
		_ = cmd.Wait()
	})
	count = func() int64 {
		if st, err := os.Stat(file); err == nil {
			return st.Size()
		}
		return 0
	}
	wait(t, "the process to write", func() bool { return count() > 10 })
	return count, cmd
}

func wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

func create(t *testing.T, h Hierarchy) *Group {
	t.Helper()
	top := fmt.Sprintf("etcdlab-test-%d", os.Getpid())
	g, err := h.Create(top + "/a/etcd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := h.Group(top).Kill(ctx); err != nil {
			t.Error(err)
		}
		if err := h.Group(top).Remove(ctx); err != nil {
			t.Error(err)
		}
	})
	return g
}

func TestFreezeIsObservedAndThawed(t *testing.T) {
	eachGroup(t, func(t *testing.T, g *Group) {
		ctx := context.Background()
		count, _ := busy(t, g)
		for range 3 {
			f, err := g.Freeze(ctx, 30*time.Second, 0)
			if err != nil || !f.Observed {
				t.Fatalf("freeze: %+v, %v", f, err)
			}
			if blocked, running, err := g.tasks(); err != nil || len(blocked)+running != 0 {
				t.Errorf("frozen, and yet %v are blocked and %d run: %v", blocked, running, err)
			}
			before := count()
			time.Sleep(5 * time.Millisecond)
			if after := count(); after != before {
				t.Errorf("wrote %d bytes while frozen", after-before)
			}
			if err := g.Thaw(ctx); err != nil {
				t.Fatal(err)
			}
			wait(t, "the process to go on", func() bool { return count() > before })
		}
	})
}

func TestKillEndsFrozenProcesses(t *testing.T) {
	eachGroup(t, func(t *testing.T, g *Group) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		count, cmd := busy(t, g)
		if f, err := g.Freeze(ctx, 30*time.Second, 0); err != nil || !f.Observed {
			t.Fatalf("freeze: %+v, %v", f, err)
		}
		before := count()
		reaped := make(chan error, 1)
		go func() { reaped <- cmd.Wait() }()
		if err := g.Kill(ctx); err != nil {
			t.Fatal(err)
		}
		if err := <-reaped; err == nil || err.Error() != "signal: killed" {
			t.Errorf("ended with %v", err)
		}
		if after := count(); after != before {
			t.Errorf("ran on for %d bytes between thaw and death", after-before)
		}
		if pids, err := g.Procs(); err != nil || len(pids) != 0 {
			t.Errorf("left: %v %v", pids, err)
		}
	})
}

func TestOfNothing(t *testing.T) {
	each(t, func(t *testing.T, h Hierarchy) {
		ctx := context.Background()
		g := h.Group("etcdlab-test-none/x")
		if err := g.Kill(ctx); err != nil {
			t.Error(err)
		}
		if err := g.Remove(ctx); err != nil {
			t.Error(err)
		}
		if err := g.Thaw(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestSession(t *testing.T) {
	for in, want := range map[string]int{
		"12 (a) b) S 1 12 7 0 -1": 7,
		"12 (a) S 1":              0,
		"12 (a)":                  0,
		"":                        0,
		"12 (a) S 1 2 x":          0,
	} {
		if got := session(in); got != want {
			t.Errorf("session(%q) = %d, want %d", in, got, want)
		}
	}
}

func TestUsable(t *testing.T) {
	each(t, func(t *testing.T, h Hierarchy) {
		dead := exec.Command("true") // whose number nobody has for a while
		if err := dead.Run(); err != nil {
			t.Fatal(err)
		}
		left, err := h.Create(fmt.Sprintf("%s%d", probeName, dead.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Usable(h.Version); err != nil || got != h {
			t.Errorf("%v %v", got, err)
		}
		if _, err := os.Stat(left.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what a killed probe left is still there: %v", err)
		}
	})
	if _, err := Usable("v9"); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

func TestChoose(t *testing.T) {
	if _, err := Choose("v9"); err == nil {
		t.Error("chose a version that does not exist")
	}
}

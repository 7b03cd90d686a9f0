package images

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestTwoBuildsAtOnce(t *testing.T) {
	dir := t.TempDir()
	var made atomic.Int32
	started, finish := make(chan struct{}), make(chan struct{})
	open := func() *Store {
		s, err := Open(dir)
		must(t, err)
		s.build = func(_ context.Context, p plan, _, out string, _ func(string)) (Image, error) {
			if made.Add(1) == 1 {
				close(started)
			}
			<-finish
			return Image{Version: p.in.Version}, fakeBinaries(out)
		}
		return s
	}
	var wg sync.WaitGroup
	var keys sync.Map
	build := func(progress func(string)) {
		img, err := open().Build(bg, Request{Version: "v3.5.4"}, progress)
		if err != nil {
			t.Error(err)
		}
		keys.Store(img.Key, true)
	}
	wg.Go(func() { build(nil) })
	<-started
	waiting := make(chan string, 1)
	wg.Go(func() { build(func(line string) { waiting <- line }) })
	if line := <-waiting; !strings.Contains(line, "waiting") {
		t.Errorf("the second build said %q", line)
	}
	close(finish)
	wg.Wait()
	n := 0
	keys.Range(func(any, any) bool { n++; return true })
	if made.Load() != 1 || n != 1 {
		t.Errorf("%d builds, %d keys", made.Load(), n)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	made := 0
	s := fakeStore(t, t.TempDir(), &made)
	p, err := s.plan(bg, Request{Version: "v3.5.4"})
	must(t, err)
	l, err := tryLock(s.locks(), p.in.key())
	must(t, err)
	defer l.unlock()
	ctx, cancel := context.WithCancel(bg)
	if _, err := s.Build(ctx, p.req, func(string) { cancel() }); !errors.Is(err, context.Canceled) || made != 0 {
		t.Errorf("%v, %d builds", err, made)
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		recipe recipe
		want   error
	}{
		"fails": {func(_ context.Context, _ plan, _, out string, _ func(string)) (Image, error) {
			return Image{}, errors.Join(fakeBinaries(out), broken)
		}, broken},
		"interrupted": {func(ctx context.Context, _ plan, _, out string, _ func(string)) (Image, error) {
			cancel()
			return Image{}, errors.Join(fakeBinaries(out), ctx.Err())
		}, context.Canceled},
		"interrupted at its end": {func(_ context.Context, _ plan, _, out string, _ func(string)) (Image, error) {
			cancel()
			return Image{}, fakeBinaries(out)
		}, context.Canceled},
		"lacks a binary": {func(_ context.Context, _ plan, _, out string, _ func(string)) (Image, error) {
			return Image{}, errors.Join(fakeBinaries(out), os.Remove(filepath.Join(out, "bin", "etcdutl")))
		}, os.ErrNotExist},
		"disk full": {func(context.Context, plan, string, string, func(string)) (Image, error) {
			return Image{}, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
		}, syscall.ENOSPC},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.TempDir())
			must(t, err)
			s.build = c.recipe
			_, err = s.Build(ctx, Request{Version: "v3.5.4"}, nil)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if c.want == syscall.ENOSPC && kindOf(err) != Environment {
				t.Errorf("%v is no environment error", err)
			}
			if l := append(left(t, s.images()), left(t, s.tmp())...); len(l) != 0 {
				t.Errorf("left: %v", l)
			}
		})
	}
}

func TestKilledBuildIsSwept(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), killedEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	work, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(work, dir) {
		t.Fatalf("the builder said %q, %v", work, err)
	}

	// While it lives, nobody takes its directory away.
	made := 0
	s := fakeStore(t, dir, &made)
	mustBuild(t, s, Request{Version: "v3.5.5"})
	if _, err := os.Stat(strings.TrimSpace(work)); err != nil {
		t.Errorf("swept under a living build: %v", err)
	}
	must(t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil {
		t.Error("the builder ended by itself")
	}
	if _, ok, err := s.Find(bg, Request{Version: "v3.5.4"}); ok || err != nil {
		t.Errorf("half an entry was found: %v, %v", ok, err)
	}
	mustBuild(t, s, Request{Version: "v3.5.6"}) // any build sweeps
	if l := left(t, s.tmp()); len(l) != 0 {
		t.Errorf("left in tmp: %v", l)
	}
	mustBuild(t, s, Request{Version: "v3.5.4"})
}

func TestInterruptKillsTheProcessGroup(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc, to see whether a process is alive")
	}
	dir := t.TempDir()
	// A go command that waits for a child, which says who it is.
	tool := filepath.Join(dir, "go")
	script := "#!/bin/sh\nsh -c 'echo $$ >" + dir + "/pid.new; mv " + dir + "/pid.new " + dir + "/pid; exec sleep 1000' &\nwait\n"
	must(t, os.WriteFile(tool, []byte(script), 0o755))
	ctx, cancel := context.WithCancel(bg)
	pid := make(chan string, 1)
	go func() {
		defer cancel()
		for range 6000 {
			if b, err := os.ReadFile(filepath.Join(dir, "pid")); err == nil {
				pid <- strings.TrimSpace(string(b))
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		pid <- ""
	}()
	_, err := goCommand{tool, os.Environ()}.run(ctx, dir, "build")
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	child := <-pid
	if child == "" {
		t.Fatal("the command never started its child")
	}
	// The child is init's to reap once it is dead, which may take a moment.
	for range 6000 {
		stat, err := os.ReadFile("/proc/" + child + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("child %s is still alive", child)
}

package agent

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// fakeEtcd is a program in etcd's place that leaves an orphan behind. It forks
// (which a shell does for parentheses) and never uses vfork, as with a child that
// is stopped before its exec a parent is in uninterruptible sleep.
const fakeEtcd = `#!/bin/sh
( (exec sleep 0.1) & exit 0 )
trap 'echo goodbye; exit 0' TERM
while :; do echo tick; (exec sleep 0.02); done
`

// inContainer starts the agent as the first process of namespaces of its own,
// without any right to make control groups.
func inContainer(t *testing.T, disk string, change func(*Config)) (*Client, *exec.Cmd, *bytes.Buffer) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("missing: root, to make namespaces")
	}
	dir, err := os.MkdirTemp("", "agent")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	must(t, err)
	program := filepath.Join(dir, "etcd")
	must(t, os.WriteFile(program, []byte(fakeEtcd), 0o700))
	c := &Config{
		Lab: "first", Member: "m1", Self: []string{self, "agent"}, StateDir: filepath.Join(dir, "state"),
		Disk: spec.Disk{Kind: disk}, DataDir: filepath.Join(dir, "data"), LogFile: filepath.Join(dir, "etcd.log"),
		Etcd: program, PeerURL: "http://127.0.0.1:1", Env: os.Environ(), Tools: dir, ClientURL: "http://x:1",
	}
	if change != nil {
		change(c)
	}
	must(t, c.Write(dir))
	// A /run of its own, as a container has.
	script := "mount -t proc proc /proc && mount -t tmpfs tmpfs /run && umount -R -l /sys/fs/cgroup && exec " + self + " agent --dir " + dir
	cmd := exec.Command("sh", "-c", script)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s", &out)
		}
	})
	client := NewClient("m1", At{Dir: dir}, LacksOf(disk, "ext4"))
	t.Cleanup(client.Close)
	return client, cmd, &out
}

func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

func TestFirstProcessOfAContainer(t *testing.T) {
	c, cmd, _ := inContainer(t, "plain", nil)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	await(t, "the agent", func() bool { _, err := c.Status(ctx); return err == nil })
	must(t, c.Start(ctx))
	st, err := c.Status(ctx)
	must(t, err)
	if st.State != lab.StateRunning || st.Agent != 1 || st.Freezer != "stop" {
		t.Errorf("%+v", st)
	}
	lines := func() int {
		var log bytes.Buffer
		must(t, c.Logs(ctx, &log, false))
		return strings.Count(log.String(), "tick")
	}
	await(t, "etcd to log", func() bool { return lines() > 2 })

	f, err := c.Freeze(ctx, 30*time.Second)
	if err != nil || !f.Observed || f.Freezer != "stop" {
		t.Fatalf("freeze: %+v %v", f, err)
	}
	before := lines()
	time.Sleep(100 * time.Millisecond)
	if after := lines(); after != before {
		t.Errorf("logged %d lines while frozen", after-before)
	}
	must(t, c.Thaw(ctx))
	await(t, "etcd to go on", func() bool { return lines() > before })

	// Orphans of etcd and of commands are reaped; what the agent runs itself
	// keeps its exit status.
	if exit, err := c.Exec(ctx, []string{"sh", "-c", "(sleep 0.1 &) ; exit 3"}, nil, &bytes.Buffer{}, &bytes.Buffer{}); exit != 3 || err != nil {
		t.Errorf("exec: %d %v", exit, err)
	}
	zombies := func() string {
		var out bytes.Buffer
		const list = `cat /proc/[0-9]*/stat | grep ') Z ' ; true`
		if _, err := c.Exec(ctx, []string{"sh", "-c", list}, nil, &out, &out); err != nil {
			t.Error(err)
		}
		return out.String()
	}
	await(t, "orphans to be reaped", func() bool { return zombies() == "" })
	var env bytes.Buffer
	if _, err := c.Exec(ctx, []string{"sh", "-c", "echo $ETCDCTL_ENDPOINTS $PATH"}, nil, &env, &env); err != nil || !strings.HasPrefix(env.String(), "http://x:1 /") {
		t.Errorf("exec's environment: %q %v", &env, err)
	}
	if _, err := c.Exec(ctx, []string{"no-such-program"}, nil, &env, &env); err == nil {
		t.Error("executed no-such-program")
	}

	// What it cannot do it says.
	for what, err := range map[string]error{
		"PowerCutter": func() error { _, err := c.Cut(ctx); return err }(),
		"Linker":      c.SetLink(ctx, false),
	} {
		if u, ok := err.(*lab.UnsupportedError); !ok || u.Capability != what {
			t.Errorf("%s: %v", what, err)
		}
	}

	// docker stop
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// A command whose caller goes ends with all that it started.
func TestExecEndsWithItsCaller(t *testing.T) {
	c, _, _ := inContainer(t, "plain", nil)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	await(t, "the agent", func() bool { _, err := c.Status(ctx); return err == nil })
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	var out bytes.Buffer
	if _, err := c.Exec(short, []string{"sh", "-c", "sleep 777 & sleep 777"}, nil, &out, &out); err == nil {
		t.Error("it ended")
	}
	await(t, "the command to end", func() bool {
		out.Reset()
		_, err := c.Exec(ctx, []string{"sh", "-c", `cat /proc/[0-9]*/cmdline | tr '\0' ' ' | grep -o 'sleep [7]77'; true`}, nil, &out, &out)
		must(t, err)
		return out.Len() == 0
	})
}

// A container whose agent serves a disk can be killed at any time, and leaves no
// loop device on the machine.
func TestKilledContainerEnds(t *testing.T) {
	for _, running := range []bool{false, true} {
		var state string
		c, cmd, _ := inContainer(t, "fault", func(c *Config) {
			c.Freezer, c.Format, state = "stop", true, c.StateDir
			c.Disk = spec.Disk{Kind: "fault", FS: "ext4", Size: 64 << 20, Profile: "honest-512"}
			c.DataDir = DataDir("fault", filepath.Dir(c.LogFile), c.StateDir)
		})
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		await(t, "the agent", func() bool { _, err := c.Status(ctx); return err == nil })
		if running {
			must(t, c.Start(ctx))
		}
		devices := func() int {
			n := 0
			files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
			must(t, err)
			for _, file := range files {
				if data, _ := os.ReadFile(file); strings.Contains(string(data), filepath.Dir(state)) {
					n++
				}
			}
			return n
		}
		if devices() != 1 {
			t.Errorf("%d loop devices", devices())
		}
		// What is dirty would have to be written to the disk.
		if _, err := c.Exec(ctx, []string{"sh", "-c", "echo dirty > " + filepath.Dir(state) + "/data/dirty"}, nil, os.Stderr, os.Stderr); err != nil {
			t.Error(err)
		}
		must(t, cmd.Process.Kill())
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Fatalf("process %d cannot be killed", cmd.Process.Pid)
		}
		await(t, "the loop device to end", func() bool { return devices() == 0 })
	}
}

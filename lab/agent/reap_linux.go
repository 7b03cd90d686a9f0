package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// reapEvery is how often the first process looks for orphans that have ended.
const reapEvery = time.Second

// keepNamespaces starts a process that does nothing and ends right after this one,
// the first of a container, however that ends. Without it this one would be the
// last of its mount namespace where etcd does not run, and one that serves a disk
// must not be: see fuse.Device.Bind.
func keepNamespaces(c *Config) error {
	if c.Disk.Kind != "fault" {
		return nil
	}
	cmd := exec.Command(c.Self[0], append(c.Self[1:len(c.Self):len(c.Self)], helperKeep)...)
	cmd.Dir, cmd.Env = "/", []string{}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the keeper of its namespaces: %w", err)
	}
	go func() { _ = cmd.Wait() }()
	return nil
}

// reap reaps the orphans that fall to the first process of a container or a
// guest, until ctx ends. Children of its own are reaped by package os, at once; a
// dead child that two looks in a row see has nobody else.
func reap(ctx context.Context) {
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	seen := map[int]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := map[int]bool{}
		for _, pid := range deadChildren(os.Getpid()) {
			if !seen[pid] {
				now[pid] = true
				continue
			}
			var status unix.WaitStatus
			_, _ = unix.Wait4(pid, &status, unix.WNOHANG, nil)
		}
		seen = now
	}
}

// deadChildren lists the children of a process that are not reaped.
func deadChildren(of int) []int {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var pids []int
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // gone meanwhile
		}
		// pid (name) state parent: the name may contain anything.
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) < 2 || fields[0] != "Z" || fields[1] != strconv.Itoa(of) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

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

// keeper is the process that ends after this one, the first of a container; see
// fuse.Device.Keep.
func keeper(c *Config) *exec.Cmd {
	cmd := exec.Command(c.Self[0], append(c.Self[1:len(c.Self):len(c.Self)], helperKeep)...)
	cmd.Dir, cmd.Env = "/", []string{}
	return cmd
}

// keep is the keeper: it opens the file, says so, and waits to be killed.
func keep(file string) error {
	if _, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("keep %s: %w", file, err)
	}
	fmt.Println("kept")
	for {
		_ = unix.Pause()
	}
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

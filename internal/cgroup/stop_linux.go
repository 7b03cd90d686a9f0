package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// stopped is what a group of version Stop knows in place of a directory: the
// sessions whose processes are its own.
type stopped struct {
	mu       sync.Mutex
	sessions []int
}

// NewStop makes a group without any control group, for containers that may not
// have one: its processes are those of the sessions that it adopts. It freezes
// them with SIGSTOP, which a process cannot refuse but can see afterwards, and
// which its parent is told of.
func NewStop() *Group { return &Group{version: Stop, stop: new(stopped)} }

// Adopt makes the processes of the session whose leader is pid the group's, of
// version Stop; in the others a process is in the group by itself.
func (g *Group) Adopt(pid int) {
	if g.stop == nil {
		return
	}
	g.stop.mu.Lock()
	defer g.stop.mu.Unlock()
	g.stop.sessions = append(g.stop.sessions, pid)
}

// procs lists the living processes of the sessions.
func (s *stopped) procs() ([]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) == 0 {
		return nil, nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids, living []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // ended meanwhile
		}
		leader := session(string(stat))
		if !slices.Contains(s.sessions, leader) {
			continue
		}
		living = append(living, leader)
		if st := state(string(stat)); st != 'Z' && st != 'X' {
			pids = append(pids, pid)
		}
	}
	// The number of a session that is over may be given to another.
	s.sessions = slices.DeleteFunc(s.sessions, func(id int) bool { return !slices.Contains(living, id) })
	return pids, nil
}

// session is the sixth field of /proc/PID/stat.
func session(stat string) int {
	_, rest, _ := strings.Cut(stat[strings.LastIndexByte(stat, ')')+1:], " ")
	fields := strings.Fields(rest)
	if len(fields) < 4 {
		return 0
	}
	id, err := strconv.Atoi(fields[3])
	if err != nil {
		return 0
	}
	return id
}

// set asks every process to stop, or to go on.
func (g *Group) set(freeze bool) error {
	if freeze {
		return g.Signal(unix.SIGSTOP)
	}
	return g.Signal(unix.SIGCONT)
}

// allStopped says whether every task is seen stopped.
func (g *Group) allStopped() (bool, error) {
	blocked, running, err := g.tasks()
	return err == nil && len(blocked) == 0 && running == 0, err
}

// noneStopped says whether no task is.
func (g *Group) noneStopped() (bool, error) {
	pids, err := g.Procs()
	if err != nil {
		return false, err
	}
	for _, pid := range pids {
		dirs, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task/*/stat"))
		if err != nil {
			return false, err
		}
		for _, file := range dirs {
			if stat, err := os.ReadFile(file); err == nil && state(string(stat)) == 'T' {
				return false, nil
			}
		}
	}
	return true, nil
}

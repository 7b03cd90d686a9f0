//go:build linux

package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// traces is what checks could leave behind.
func traces(t *testing.T) []string {
	t.Helper()
	var left []string
	own := fmt.Sprintf("etcdlab-doctor-%d", os.Getpid())
	for _, pattern := range []string{"/sys/fs/cgroup/" + own, "/sys/fs/cgroup/*/" + own,
		"/sys/class/net/doctor*", "/dev/." + own} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, found...)
	}
	ns, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return append(left, ns)
}

func TestLeavesNothing(t *testing.T) {
	needRoot(t)
	before := traces(t)
	for range 3 {
		Run(t.Context())
	}
	// What a check that was given up on has made, it takes away later.
	after := traces(t)
	for end := time.Now().Add(30 * time.Second); !slices.Equal(before, after) && time.Now().Before(end); after = traces(t) {
		time.Sleep(50 * time.Millisecond)
	}
	if !slices.Equal(before, after) {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestCapabilitiesOfAThreadThatGaveThemUp(t *testing.T) {
	needRoot(t)
	type result struct {
		found string
		err   error
	}
	answer := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends without its capabilities
		none := [2]unix.CapUserData{}
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&header, &none[0]); err != nil {
			answer <- result{"", err}
			return
		}
		found, err := capabilities(context.Background())
		answer <- result{found, err}
	}()
	if got := <-answer; got.found != "no "+capabilityNames() || !errors.Is(got.err, errLacking) {
		t.Errorf("%+v", got)
	}
}

func TestParseCapabilities(t *testing.T) {
	for status, want := range map[string]uint64{
		"Name:\tx\nCapEff:\t000001fffeffffff\nCapBnd:\t0\n": 0x1fffeffffff,
		"CapEff:\t0\n": 0,
	} {
		if got, err := parseCapabilities(status); err != nil || got != want {
			t.Errorf("%q: %x, %v", status, got, err)
		}
	}
	for _, status := range []string{"", "CapEff:\n", "CapEff: -1\n", "CapPrm: 1\n"} {
		if got, err := parseCapabilities(status); err == nil {
			t.Errorf("%q was read as %x", status, got)
		}
	}
}

func TestKnows(t *testing.T) {
	const list = "nodev\tsysfs\n\text4\nnodev\tfuse\n\tfuseblk\n"
	for name, want := range map[string]bool{"ext4": true, "fuse": true, "xfs": false, "ext": false, "nodev": false} {
		if got := knows(list, name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWithoutPrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if found, err := fileSystem("xfs")(t.Context()); found != "no mkfs.xfs" || !errors.Is(err, errLacking) {
		t.Errorf("%q, %v", found, err)
	}
	if found, err := goCommand(t.Context()); found != "no go" || !errors.Is(err, errLacking) {
		t.Errorf("%q, %v", found, err)
	}
}

func TestOldGo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\necho go1.9.2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin")
	if found, err := goCommand(t.Context()); found != "go1.9.2" || !errors.Is(err, errLacking) {
		t.Errorf("%q, %v", found, err)
	}
}

func TestSpace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "made", "yet")
	if found, err := space(dir, 1); err != nil || !strings.HasSuffix(found, "GiB free for "+dir) {
		t.Errorf("%q, %v", found, err)
	}
	if found, err := space(dir, 1<<62); !errors.Is(err, errLacking) {
		t.Errorf("%q, %v", found, err)
	}
	if found, err := space("/proc/x", 1); err == nil {
		t.Errorf("/proc: %q", found)
	}
}

func TestClock(t *testing.T) {
	if found, err := monotonic(t.Context()); err != nil {
		t.Errorf("%q, %v", found, err)
	}
}

func FuzzParseCapabilities(f *testing.F) {
	f.Add("CapEff:\t000001fffeffffff\n")
	f.Fuzz(func(t *testing.T, status string) {
		if _, err := parseCapabilities(status); err == nil && !strings.Contains(status, "CapEff:") {
			t.Errorf("%q", status)
		}
	})
}

//go:build linux

package netns

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestLife(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to create network namespaces")
	}
	name := fmt.Sprintf("etcdlab-test.%d", os.Getpid())
	if err := Delete(name); err != nil {
		t.Fatalf("delete of nothing: %v", err)
	}
	if err := Create(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Delete(name); err != nil {
			t.Error(err)
		}
		if Exists(name) {
			t.Error("still there")
		}
	})
	if !Exists(name) {
		t.Fatal("does not exist")
	}
	if err := Create(name); err == nil {
		t.Error("made twice")
	}
	if names, err := List(); err != nil || !slices.Contains(names, name) {
		t.Errorf("list: %v %v", names, err)
	}

	cmd := exec.Command("cat", "/proc/self/net/dev")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := Start(name, cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if links := strings.Count(out.String(), ":"); links != 1 {
		t.Errorf("a new namespace has links besides lo:\n%s", out.String())
	}

	h, err := Handle(name)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	links, err := h.LinkList()
	if err != nil || len(links) != 1 || links[0].Attrs().Flags&1 == 0 {
		t.Errorf("links %v %v: want lo, up", links, err)
	}

	sleeper := exec.Command("sleep", "60")
	if err := Start(name, sleeper); err != nil {
		t.Fatal(err)
	}
	if pids, err := Procs(name); err != nil || !slices.Equal(pids, []int{sleeper.Process.Pid}) {
		t.Errorf("processes %v %v, want %d", pids, err, sleeper.Process.Pid)
	}
	if err := sleeper.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = sleeper.Wait() // signal: killed
}

// The first `ip netns add` on a machine lays a mount over the directory of
// names; one that was there before must still go.
func TestDeleteAfterIPNetnsCameBetween(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to create network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("missing: ip (Debian's iproute2)")
	}
	name := fmt.Sprintf("etcdlab-between.%d", os.Getpid())
	if err := Create(name); err != nil {
		t.Fatal(err)
	}
	other := fmt.Sprintf("other%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", other).CombinedOutput(); err != nil {
		t.Fatalf("ip netns add: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", other).Run() })
	if err := Delete(name); err != nil {
		t.Error(err)
	}
	if Exists(name) {
		t.Error("still there")
	}
}

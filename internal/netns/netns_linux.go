// Package netns owns named network namespaces: making and removing them, and
// running code and programs inside.
package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// root is where ip-netns(8) and everybody else keeps the names.
const root = "/run/netns"

// Create makes the namespace, with its loopback up and without IPv6, whose
// duplicate address detection is noise on a network of our own.
func Create(name string) error {
	if err := share(); err != nil {
		return fmt.Errorf("create network namespace %s: %w", name, err)
	}
	err := onThread(func() error {
		h, err := netns.NewNamed(name)
		if err != nil {
			return err
		}
		defer h.Close()
		for _, which := range []string{"all", "default"} {
			// A kernel without IPv6 has no such file, and in a container
			// /proc/sys is read-only: then there is that noise.
			err := os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0)
			if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.EROFS) {
				return err
			}
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		return fmt.Errorf("create network namespace %s: %w", name, err)
	}
	return nil
}

// share makes the directory of names a shared mount of its own, as ip-netns(8)
// does at its first use. Were it left to that, an `ip netns add` beside a living
// lab would lay such a mount over the lab's names, which could then not be
// removed: EBUSY.
func share() error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", root, "none", unix.MS_SHARED|unix.MS_REC, "")
	if err != unix.EINVAL { // it is no mount point yet
		return err
	}
	if err := unix.Mount(root, root, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return unix.Mount("", root, "none", unix.MS_SHARED|unix.MS_REC, "")
}

// unshare takes the mount off again once there is no name left in it.
func unshare() {
	names, err := os.ReadDir(root)
	if err == nil && len(names) == 0 {
		// EINVAL: another has done so; EBUSY: it is in use again.
		_ = unix.Unmount(root, 0)
	}
}

// Delete removes the name; the namespace ends with its last process. No such
// name is success.
func Delete(name string) error {
	path := filepath.Join(root, name)
	// EINVAL: a leftover file on which nothing is mounted.
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.ENOENT && err != unix.EINVAL {
		return fmt.Errorf("delete network namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("delete network namespace %s: %w", name, err)
	}
	unshare()
	return nil
}

// Exists says whether the name is there and a namespace.
func Exists(name string) bool {
	h, err := netns.GetFromName(name)
	if err != nil {
		return false
	}
	defer h.Close()
	var fs unix.Statfs_t
	return unix.Fstatfs(int(h), &fs) == nil && fs.Type == unix.NSFS_MAGIC
}

// List gives all names.
func List() ([]string, error) {
	entries, err := os.ReadDir(root)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Handle opens a netlink socket inside the namespace; "" is the caller's own.
// Delete it after use.
func Handle(name string) (*netlink.Handle, error) {
	if name == "" {
		return netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	ns, err := netns.GetFromName(name)
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", name, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink in network namespace %s: %w", name, err)
	}
	return h, nil
}

// Start starts the program inside the namespace; "" is the caller's own.
func Start(name string, cmd *exec.Cmd) error {
	return Do(name, cmd.Start)
}

// Do runs f inside the namespace, on a thread of its own: what f opens stays
// there. "" is the caller's own.
func Do(name string, f func() error) error {
	if name == "" {
		return f()
	}
	ns, err := netns.GetFromName(name)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", name, err)
	}
	defer ns.Close()
	return onThread(func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", name, err)
		}
		return f()
	})
}

// onThread runs f on a thread that ends afterwards, as it may have changed its
// namespace and must not be reused for anything else. The process's first
// thread cannot end (the runtime only parks it, and all of /proc/PID would show
// its namespace), so it is held aside while another is taken.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- onThread(f)
			runtime.UnlockOSThread()
			return
		}
		done <- f() // never unlocked: the runtime ends the thread
	}()
	return <-done
}

// FD opens the namespace for use as a netlink attribute.
func FD(name string) (*os.File, error) {
	f, err := os.Open(filepath.Join(root, name))
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", name, err)
	}
	return f, nil
}

// Procs lists the processes in the namespace; none if it does not exist.
func Procs(name string) ([]int, error) {
	var want unix.Stat_t
	if err := unix.Stat(filepath.Join(root, name), &want); err != nil {
		if err == unix.ENOENT {
			return nil, nil
		}
		return nil, fmt.Errorf("stat network namespace %s: %w", name, err)
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, dir := range dirs {
		var st unix.Stat_t
		var pid int
		if unix.Stat(dir+"/ns/net", &st) == nil && st.Ino == want.Ino && st.Dev == want.Dev {
			if _, err := fmt.Sscan(filepath.Base(dir), &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

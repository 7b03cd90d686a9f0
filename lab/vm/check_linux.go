package vm

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/etcdlab/etcdlab/disk/fs"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

const (
	defaultMemory = 512 << 20
	defaultCPUs   = 1
	// ownMemory is what QEMU and the agent beside it need of their own, in
	// bytes, and spare what a machine must keep.
	ownMemory = 96 << 20
	spare     = 256 << 20
)

// qemus are QEMU's programs with their Debian packages, by architecture.
var qemus = map[string]struct{ program, pkg string }{
	"amd64": {"qemu-system-x86_64", "qemu-system-x86"},
	"arm64": {"qemu-system-aarch64", "qemu-system-arm"},
}

// qemuDirs are where QEMU may be without being in PATH.
var qemuDirs = []string{"/usr/bin", "/usr/libexec", "/usr/local/bin"}

// findQEMU finds QEMU for this machine's architecture.
func findQEMU() (string, error) {
	q := qemus[runtime.GOARCH]
	if q.program == "" || runtime.GOARCH != "amd64" {
		return "", &lab.EnvironmentError{
			Check: "architecture", Found: runtime.GOARCH, Needed: "amd64, for which guests are made", Get: "use another provider",
		}
	}
	if path, err := exec.LookPath(q.program); err == nil {
		return path, nil
	}
	for _, dir := range qemuDirs {
		if path, err := exec.LookPath(filepath.Join(dir, q.program)); err == nil {
			return path, nil
		}
	}
	return "", &lab.EnvironmentError{
		Check: "QEMU", Found: "no " + q.program, Needed: "QEMU 6.0 or later",
		Get: "install it, with Debian: apt-get install " + q.pkg,
	}
}

// Check says what this machine lacks for labs of virtual machines, as an
// *lab.EnvironmentError.
func (p *Provider) Check(_ context.Context, s *spec.Lab) error {
	if _, err := findQEMU(); err != nil {
		return err
	}
	if s.Disk.Kind == "plain" {
		// The guest's own root is memory: a crash of the guest would lose all.
		return &lab.EnvironmentError{
			Check: "disk kind plain", Found: "provider vm", Needed: "a provider whose members have directories of this machine's",
			Get: "use disk: {kind: fault}, which needs no more than this here, or provider process or docker",
		}
	}
	if s.Disk.FS != "" {
		if err := fs.CheckTool(s.Disk.FS); err != nil {
			return &lab.EnvironmentError{Check: "file system " + s.Disk.FS, Found: "no tool to make it", Needed: "its mkfs", Get: err.Error()}
		}
	}
	return nil
}

// checkMemory refuses more guests than there is memory for: QEMU would get it,
// and the kernel would then end something. running are those that have theirs.
func checkMemory(s *spec.Lab, running int) error {
	each := memoryOf(s)
	need := int64(len(s.Members)-running) * (each + ownMemory)
	there, err := available()
	if err != nil || need <= 0 || there >= need+spare {
		return nil // where it is not known, it is tried
	}
	return &lab.EnvironmentError{
		Check: "memory", Found: fmt.Sprintf("%d MiB available", there>>20),
		Needed: fmt.Sprintf("%d MiB for %d guests of %d MiB", (need+spare)>>20, len(s.Members)-running, each>>20),
		Get:    "no memory for so many: end other labs (etcdlab ls), use fewer members, or set machine: {memory: 384MiB}",
	}
}

func memoryOf(s *spec.Lab) int64 {
	if s.Machine.Memory > 0 {
		return int64(s.Machine.Memory)
	}
	return defaultMemory
}

func cpusOf(s *spec.Lab) int {
	if s.Machine.CPUs > 0 {
		return s.Machine.CPUs
	}
	return defaultCPUs
}

// available is the memory that this machine can give, in bytes.
func available() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "MemAvailable:"); ok {
			var kib int64
			_, err := fmt.Sscan(rest, &kib)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no MemAvailable in /proc/meminfo")
}

// checkGuest says what the kernel of the guest lacks for this lab.
func checkGuest(s *spec.Lab, images map[string]lab.Binaries) error {
	needed := []string{"virtio_pci", "virtio_blk", "virtio_net"}
	switch s.Disk.FS {
	case "xfs", "btrfs":
		needed = append(needed, s.Disk.FS)
	}
	if s.Disk.Kind == "dm" {
		needed = append(needed, "dm_mod", "dm_flakey")
	}
	for _, m := range s.Members {
		g := images[m.Name].Guest
		if g == nil {
			return fmt.Errorf("member %s of lab %s has no guest image", m.Name, s.Name)
		}
		for _, module := range needed {
			for _, lacking := range g.Lacks {
				if strings.ReplaceAll(lacking, "-", "_") == module {
					return &lab.EnvironmentError{
						Check: "kernel " + g.Release + " of the guest", Found: "no module " + module, Needed: module + " for disk kind " + s.Disk.Kind + " with " + s.Disk.FS,
						Get: "use another kernel: machine: {kernel: FILE}, or another disk",
					}
				}
			}
		}
	}
	return nil
}

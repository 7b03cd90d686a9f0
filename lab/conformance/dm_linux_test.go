package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk/fs"
	"github.com/etcdlab/etcdlab/images/guest"
	"github.com/etcdlab/etcdlab/images/guest/guesttest"
	"github.com/etcdlab/etcdlab/lab/conformance"
)

// What the tests of disk/dm agree on with this one.
const (
	dmReport   = "conformance report: " // before the suite's report
	dmDiskSize = 32 << 20
)

// TestDeviceMapperConformance runs the tests of disk/dm, the disk suite among
// them, in a guest: few machines have device mapper, and none a disk to spare.
func TestDeviceMapperConformance(t *testing.T) {
	if err := fs.CheckTool("ext4"); err != nil {
		t.Skip("missing:", err)
	}
	var more []guest.Entry
	if only := os.Getenv("ETCDLAB_TEST_ONLY"); only != "" {
		more = append(more, guest.Entry{Name: "only", Mode: 0o644, Data: []byte(only)})
	}
	kernel, initrd := guesttest.Bare(t, "github.com/etcdlab/etcdlab/disk/dm", more...)
	args := []string{"-machine", "q35", "-cpu", "max", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-m", "512", "-smp", "2",
		"-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1"}
	dir := t.TempDir()
	for i, name := range []string{"main", "log", "fs"} {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, nil, 0o600))
		must(t, os.Truncate(path, dmDiskSize))
		if name == "fs" {
			must(t, fs.Format(t.Context(), "ext4", path, 512))
		}
		args = append(args, "-drive", fmt.Sprintf("if=none,id=d%d,format=raw,file=%s,discard=unmap,detect-zeroes=off", i, path),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=d%d", i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	var out bytes.Buffer
	var console io.Writer = &out
	if testing.Verbose() {
		console = io.MultiWriter(&out, os.Stderr)
	}
	cmd.Stdout, cmd.Stderr = console, console
	start := time.Now()
	runErr := cmd.Run()
	text := strings.ReplaceAll(out.String(), "\r", "")
	t.Logf("the guest ran for %v", time.Since(start).Round(time.Millisecond))
	report(t, text)
	carry(t, text)
	if runErr != nil || !strings.Contains(text, "guest ended with 0 <nil>") {
		t.Errorf("the guest failed (%v):\n%s", runErr, text)
	}
}

var outcome = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (TestDM\S*) .*$`)

// report makes a test here of every one in the guest.
func report(t *testing.T, text string) {
	for _, m := range outcome.FindAllStringSubmatch(text, -1) {
		t.Run(m[2], func(t *testing.T) {
			switch m[1] {
			case "FAIL":
				t.Fail()
			case "SKIP":
				t.Skip("skipped in the guest")
			}
		})
	}
}

// carry writes the suite's report where it is wanted, as the suite itself does
// where it runs on this machine.
func carry(t *testing.T, text string) {
	_, line, ok := strings.Cut(text, dmReport)
	if !ok && os.Getenv("ETCDLAB_TEST_ONLY") == "" {
		t.Error("the guest printed no report of the disk suite")
	}
	if dir := os.Getenv(conformance.EnvDir); ok && dir != "" {
		line, _, _ = strings.Cut(line, "\n")
		must(t, os.WriteFile(filepath.Join(dir, "disk-dm-inside-a-vm.json"), []byte(line+"\n"), 0o644))
	}
}

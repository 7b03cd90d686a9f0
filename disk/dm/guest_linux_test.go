package dm

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/internal/kmod"
)

// Disks of the guest.
const (
	mainDisk = "/dev/vda" // zero
	logDisk  = "/dev/vdb" // zero
	fsDisk   = "/dev/vdc" // an ext4
	diskSize = 32 << 20
)

// The tests of real device mapper need root and spare disks. So package
// lab/conformance boots this binary as the init of a virtual machine, where they
// run.
func TestMain(m *testing.M) {
	if os.Getpid() != 1 {
		goleak.VerifyTestMain(m)
	}
	flag.Parse()
	err := guestSetup()
	code := 1
	if err == nil {
		_ = flag.Set("test.v", "true")
		_ = flag.Set("test.run", "^TestDM")
		if only, _ := os.ReadFile("/only"); len(only) > 0 {
			_ = flag.Set("test.run", string(only))
		}
		code = m.Run()
	}
	fmt.Println("\nguest ended with", code, err)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func guestSetup() error {
	for _, m := range [][2]string{{"/proc", "proc"}, {"/sys", "sysfs"}, {"/dev", "devtmpfs"}, {"/tmp", "tmpfs"}} {
		if err := os.MkdirAll(m[0], 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m[1], m[0], m[1], 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m[0], err)
		}
	}
	os.Setenv("PATH", "/bin:/sbin")
	for _, module := range []string{"virtio_pci", "virtio_blk", "dm_mod", "dm_flakey", "dm_delay", "dm_log_writes", "ext4"} {
		if err := kmod.Load(module); err != nil {
			return err
		}
	}
	for range 6000 { // a minute: the machine may be slow
		if _, err := os.Stat(fsDisk); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s is not there", fsDisk)
}

// needGuest skips a test that would take this machine's disks.
func needGuest(t testing.TB) {
	t.Helper()
	if os.Getpid() != 1 {
		t.Skip("missing: a guest of its own: lab/conformance boots one")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

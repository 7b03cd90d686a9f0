//go:build linux

package vm

import (
	"fmt"
	"os"
	"testing"

	"github.com/etcdlab/etcdlab/lab/conformance"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// TestConformanceOnDeviceMapper puts a lab through the same whose members' disks
// are device mapper's, inside their guests.
func TestConformanceOnDeviceMapper(t *testing.T) {
	if os.Getenv(conformance.EnvDir) == "" {
		t.Skip("missing: " + conformance.EnvDir + ", for whose table it runs: it takes two minutes where guests are emulated")
	}
	b := binaries(t)
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	p.Progress = t.Logf
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	conformance.Run(t, conformance.Subject{
		Name: "dm inside a vm", Provider: p, Disk: spec.Disk{Kind: "dm"}, Binaries: b,
		Left: func(name string) string {
			left, err := discover(name)
			if err != nil || left.any() {
				return fmt.Sprintf("%+v, %v", left, err)
			}
			return ""
		},
	})
}

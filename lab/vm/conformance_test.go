//go:build linux

package vm

import (
	"fmt"
	"testing"

	"github.com/etcdlab/etcdlab/lab/conformance"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// TestConformance puts a lab of three guests through all that a provider must
// do.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("missing: time; it takes minutes where guests are emulated")
	}
	b := binaries(t)
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	p.Progress = t.Logf
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	conformance.Run(t, conformance.Subject{
		Name: "vm", Provider: p, Disk: spec.Disk{Kind: "fault"}, Binaries: b,
		Left: func(name string) string {
			left, err := discover(name)
			if err != nil || left.any() {
				return fmt.Sprintf("%+v, %v", left, err)
			}
			return ""
		},
	})
}

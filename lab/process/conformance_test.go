//go:build linux

package process

import (
	"testing"

	"github.com/etcdlab/etcdlab/lab/conformance"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func TestConformance(t *testing.T) {
	for name, disk := range map[string]spec.Disk{
		"process":             {Kind: "fault"},
		"process, disk plain": {Kind: "plain"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 3, nil) // skips where this machine lacks something
			conformance.Run(t, conformance.Subject{
				Name: name, Provider: f.Provider, Disk: disk, Binaries: f.images["m1"],
				Left: func(lab string) string {
					f.spec.Name = lab // whose traces the fixture then looks for, too
					return ""
				},
			})
		})
	}
}

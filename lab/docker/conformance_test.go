package docker

import (
	"testing"

	"github.com/etcdlab/etcdlab/lab/conformance"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		disk spec.Disk
	}{
		{"docker", spec.Disk{Kind: "fault"}},
		{"docker, disk plain", spec.Disk{Kind: "plain"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, 3, nil) // skips without an engine
			conformance.Run(t, conformance.Subject{
				Name: c.name, Provider: f.Provider, Disk: c.disk, Binaries: f.images["m1"],
				Left: func(lab string) string {
					f.spec.Name = lab // whose traces the fixture then looks for, too
					return ""
				},
			})
		})
	}
}

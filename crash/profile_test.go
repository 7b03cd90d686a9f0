package crash

import (
	"context"
	"testing"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// withDisk is a member whose disk is of a profile.
type withDisk struct {
	lab.Member
	lab.DiskFaulter
	profile string
}

func (m *withDisk) DiskStats(context.Context) (disk.Stats, error) {
	return disk.Stats{Profile: m.profile}, nil
}

type noDisk struct{ lab.Member }

func (noDisk) Name() string { return "m1" }

func TestTheRunNamesTheDisksAsTheyAre(t *testing.T) {
	honest, liar := &withDisk{profile: disk.Honest512}, &withDisk{profile: disk.LyingFlush}
	for _, c := range []struct {
		members []lab.Member
		asked   string
		want    string
	}{
		{members: []lab.Member{honest, honest}, want: disk.Honest512},
		{members: []lab.Member{honest, liar}, want: "honest-512, lying-flush"}, // armed by an earlier run
		{members: []lab.Member{liar, liar}, asked: disk.FUA, want: disk.FUA},
		{members: []lab.Member{noDisk{}}, want: "of the spec"},
	} {
		r := &run{opts: Options{Profile: c.asked}, lab: &lab.Lab{Members: c.members, Spec: &spec.Lab{Disk: spec.Disk{Profile: "of the spec"}}}}
		if got, err := r.profile(t.Context()); err != nil || got != c.want {
			t.Errorf("asked %q: %q, %v; want %q", c.asked, got, err, c.want)
		}
	}
}

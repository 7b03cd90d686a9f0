package docker

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"github.com/etcdlab/etcdlab/lab"
)

// What an interrupted up leaves is removed, by down or by the next up; what is
// not ours is never touched.
func TestPartialMake(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 2, nil)
	half := func() {
		t.Helper()
		p := f.Provider
		with, err := p.prepare(f.ctx, f.spec, f.images)
		must(t, err)
		subnet, err := p.makeNetwork(f.ctx, f.spec, "")
		must(t, err)
		all := p.plan(f.spec, subnet, f.images)
		must(t, p.makeVolume(f.ctx, all[0]))
		must(t, p.makeVolume(f.ctx, all[1]))
		must(t, p.makeContainer(f.ctx, all[0], with))
	}
	half()
	if p := f.reopen(t).Partial; !strings.Contains(p, "container of m1 is created") || !strings.Contains(p, "container of m2 is gone") {
		t.Errorf("partial: %q", p)
	}
	must(t, f.Down(f.ctx, f.spec.Name))
	f.nothingLeft(t)
	half()
	f.up(t)
	must(t, f.Down(f.ctx, f.spec.Name))

	// Ctrl-C at each step.
	for stop := 1; ; stop++ {
		ctx, cancel := context.WithCancel(f.ctx)
		var said atomic.Int32
		f.Progress = func(string, ...any) {
			if said.Add(1) == int32(stop) {
				cancel()
			}
		}
		l, err := f.Up(ctx, f.spec, f.images)
		cancelled := ctx.Err() != nil
		cancel()
		if err == nil {
			closeAll(l)
			if cancelled {
				t.Errorf("up succeeded although it was cancelled at step %d", stop)
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("step %d: %v", stop, err)
		}
		f.nothingLeft(t)
	}
	f.Progress = t.Logf

	// Another user, or one without the local directory, has no say.
	dir, err := labDir(f.spec.Name)
	must(t, err)
	must(t, os.Rename(dir, dir+".away"))
	if _, err := f.Up(f.ctx, f.spec, f.images); err == nil || !strings.Contains(err.Error(), "was made by "+owner()) {
		t.Errorf("up without the key: %v", err)
	}
	l := f.reopen(t)
	if i := info(t, l.Members[0]); i.State != lab.StateLost || !strings.Contains(i.Exit, "was made by "+owner()) {
		t.Errorf("without the key: %+v", i)
	}
	must(t, os.RemoveAll(dir+".away"))
	must(t, f.Down(f.ctx, f.spec.Name))
	f.nothingLeft(t)

	// Names that others have.
	v, err := f.api.VolumeCreate(f.ctx, volume.CreateOptions{Name: volumeName(f.spec.Name, "m2")})
	must(t, err)
	defer f.api.VolumeRemove(context.Background(), v.Name, true)
	if _, err := f.Up(f.ctx, f.spec, f.images); err == nil || !strings.Contains(err.Error(), "docker volume rm "+v.Name) {
		t.Errorf("up on a foreign volume: %v", err)
	}
	f.nothingLeft(t)
	if _, err := f.api.VolumeInspect(f.ctx, v.Name); err != nil {
		t.Errorf("the foreign volume: %v", err)
	}
	must(t, f.api.VolumeRemove(f.ctx, v.Name, true))
	n, err := f.api.NetworkCreate(f.ctx, networkName(f.spec.Name), network.CreateOptions{Driver: "bridge"})
	must(t, err)
	defer f.api.NetworkRemove(context.Background(), n.ID)
	if _, err := f.Up(f.ctx, f.spec, f.images); err == nil || !strings.Contains(err.Error(), "docker network rm") {
		t.Errorf("up on a foreign network: %v", err)
	}
	f.nothingLeft(t)
}

func TestSubnetsApart(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, plain)
	l := f.up(t)
	other := *f.spec
	other.Name = f.spec.Name + "-m1" // m1 is a member of the first
	other.Network.Subnet = l.Subnet
	if _, err := f.Up(f.ctx, &other, f.images); err == nil || !strings.Contains(err.Error(), "overlaps the Docker lab "+l.Name) {
		t.Errorf("up on a subnet in use: %v", err)
	}
	other.Network.Subnet = ""
	o, err := f.Up(f.ctx, &other, f.images)
	must(t, err)
	closeAll(o)
	if a, b := netip.MustParsePrefix(o.Subnet), netip.MustParsePrefix(l.Subnet); a.Overlaps(b) {
		t.Errorf("both on %s", o.Subnet)
	}
	changed := other
	changed.Etcd.Args = map[string]string{"snapshot-count": "7"}
	var another *lab.SpecChangedError
	if _, err := f.Up(f.ctx, &changed, f.images); !errors.As(err, &another) || !strings.Contains(another.Diff, "+ etcd.args.snapshot-count: 7") {
		t.Errorf("up of another spec: %v", err)
	}
	must(t, f.Down(f.ctx, other.Name))
	if i := info(t, l.Members[0]); i.State != lab.StateRunning {
		t.Errorf("down of %s touched %s: %+v", other.Name, l.Name, i)
	}
}

package docker

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func TestBadInput(t *testing.T) {
	f := newFixture(t, 1, plain)
	bad := func(want string, change func(*spec.Lab, map[string]lab.Binaries)) {
		t.Helper()
		s, images := *f.spec, map[string]lab.Binaries{"m1": f.images["m1"]}
		change(&s, images)
		_, err := f.Up(f.ctx, &s, images)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		f.nothingLeft(t)
	}
	bad("lower-case", func(s *spec.Lab, _ map[string]lab.Binaries) { s.Name = "Bad_Name" })
	bad("provider docker", func(s *spec.Lab, _ map[string]lab.Binaries) { s.Disk.Kind = "dm" })
	bad("machine.memory", func(s *spec.Lab, _ map[string]lab.Binaries) { s.Machine.Memory = 1 << 50 })
	bad("machine.cpus", func(s *spec.Lab, _ map[string]lab.Binaries) { s.Machine.CPUs = 4096 })
	bad("does not take an argument", func(s *spec.Lab, _ map[string]lab.Binaries) { s.Etcd.Args = map[string]string{"no-such-flag": "1"} })
	bad("member m1 does not serve", func(s *spec.Lab, _ map[string]lab.Binaries) {
		s.Etcd.Args = map[string]string{"listen-metrics-urls": "http://192.0.2.1:1"}
	})
	bad("is gone; make it again", func(_ *spec.Lab, images map[string]lab.Binaries) {
		b := images["m1"]
		b.Container = &lab.ContainerImage{Reference: "etcdlab/member:none", ID: "sha256:" + strings.Repeat("0", 64), Archive: "/none", Arch: b.Container.Arch}
		images["m1"] = b
	})
	bad("is for s390x", func(_ *spec.Lab, images map[string]lab.Binaries) {
		b, c := images["m1"], *images["m1"].Container
		c.Arch, b.Container = "s390x", &c
		images["m1"] = b
	})
	if err := f.Down(f.ctx, "../etc"); err == nil {
		t.Error("down of ../etc")
	}
	if _, err := f.Open(f.ctx, "a.b"); err == nil {
		t.Error("open of a.b")
	}
	// No engine at all.
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	none, err := New()
	must(t, err)
	defer none.Close()
	var env *lab.EnvironmentError
	if _, err := none.Up(f.ctx, f.spec, f.images); !errors.As(err, &env) || !strings.Contains(err.Error(), "unix:///nowhere/docker.sock") {
		t.Errorf("without an engine: %v", err)
	}
	if labs, err := none.List(f.ctx); err != nil || len(labs) != 0 {
		t.Errorf("labs without an engine: %v %v", labs, err)
	}
	if _, err := none.Open(f.ctx, "none"); !errors.Is(err, lab.ErrNotFound) {
		t.Errorf("open without an engine: %v", err)
	}
	if err := none.Down(f.ctx, "none"); err != nil {
		t.Errorf("down without an engine and a lab: %v", err)
	}
	// A lab that was made here is not gone because its engine does not answer.
	dir, err := labDir("made")
	must(t, err)
	must(t, os.MkdirAll(dir, 0o700))
	defer os.RemoveAll(dir)
	if labs, err := none.List(f.ctx); err != nil || len(labs) != 1 || labs[0].Name != "made" || !strings.Contains(labs[0].Partial, "docker.sock") {
		t.Errorf("the lab that was made, without an engine: %v %v", labs, err)
	}
	if _, err := none.Open(f.ctx, "made"); !errors.As(err, &env) || !strings.Contains(err.Error(), "lab made") {
		t.Errorf("open of it: %v", err)
	}
	if err := none.Down(f.ctx, "made"); !errors.As(err, &env) || !strings.Contains(err.Error(), "remove "+dir) {
		t.Errorf("down of it: %v", err)
	}
}

// What is asked for is what is needed: without any of it there is no fault
// disk, and the error names what to do.
func TestNothingIsAskedForInVain(t *testing.T) {
	f := newFixture(t, 1, nil)
	all, devs := capabilities, devices
	defer func() { capabilities, devices = all, devs }()
	refused := func(without string) {
		t.Helper()
		l, err := f.Up(f.ctx, f.spec, f.images)
		if err == nil {
			closeAll(l)
			t.Fatalf("a fault disk works without %s", without)
		}
		var env *lab.EnvironmentError
		if !errors.As(err, &env) || !strings.Contains(err.Error(), "m1") || !strings.Contains(err.Error(), "--disk plain") || !strings.Contains(err.Error(), without) {
			t.Errorf("without %s: %v", without, err)
		}
		t.Logf("without %s: %v", without, err)
		f.nothingLeft(t)
	}
	for i, c := range all {
		capabilities = slices.Delete(slices.Clone(all), i, i+1)
		if c == "NET_RAW" { // which only rules of the network need
			l, err := f.Up(f.ctx, f.spec, f.images)
			must(t, err)
			shaper, err := lab.Can[lab.NetShaper](l.Members[0])
			must(t, err)
			err = shaper.SetNetRules(f.ctx, "test", []lab.NetRule{{Action: lab.NetDrop}}, 1)
			if err == nil {
				t.Errorf("rules of the network work without %s", c)
			}
			t.Logf("without %s: %v", c, err)
			closeAll(l)
			must(t, f.Down(f.ctx, f.spec.Name))
			f.nothingLeft(t)
			continue
		}
		refused(c)
	}
	capabilities = all
	for i, d := range devs {
		devices = slices.Delete(slices.Clone(devs), i, i+1)
		refused(d)
	}
	devices = append(slices.Clone(devs), "/dev/etcdlab-none")
	refused("/dev/etcdlab-none")
}

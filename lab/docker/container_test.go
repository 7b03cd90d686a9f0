package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func testSpec(change func(*spec.Lab)) *spec.Lab {
	s := &spec.Lab{Name: "demo", Members: spec.Count(3)}
	if change != nil {
		change(s)
	}
	s.Default()
	return s
}

func plain(s *spec.Lab) { s.Disk.Kind = "plain" }

func planned(s *spec.Lab) []*member {
	images := map[string]lab.Binaries{}
	for _, n := range names(s) {
		images[n] = lab.Binaries{Key: "k", Version: "v3.7.3"}
	}
	return new(Provider).plan(s, netip.MustParsePrefix("172.30.7.0/24"), images)
}

// What a container gets is all that it gets.
func TestHostConfig(t *testing.T) {
	s := testSpec(nil)
	m := planned(s)[0]
	h := hostConfig(m, s, machine{})
	if h.Privileged || !slices.Equal(h.CapDrop, []string{"ALL"}) || !slices.Equal(h.CapAdd, []string{"SYS_ADMIN", "NET_ADMIN", "NET_RAW", "MKNOD"}) {
		t.Errorf("capabilities %v %v %v", h.Privileged, h.CapDrop, h.CapAdd)
	}
	if len(h.Devices) != 2 || !slices.Equal(h.DeviceCgroupRules, []string{"b 7:* rmw"}) {
		t.Errorf("devices %v %v", h.Devices, h.DeviceCgroupRules)
	}
	if len(h.Binds) != 0 || len(h.Mounts) != 1 || h.Mounts[0].Type != "volume" || h.PidMode != "" || h.IpcMode != "" || h.UTSMode != "" || h.CgroupnsMode != "" {
		t.Errorf("something of the host: %+v", h)
	}
	for p, b := range h.PortBindings {
		if len(b) != 1 || b[0].HostIP != "127.0.0.1" || b[0].HostPort != "" {
			t.Errorf("port %s at %v", p, b)
		}
	}
	if len(h.PortBindings) != 3 || !h.ReadonlyRootfs || h.Memory != defaultMemory || h.RestartPolicy.Name != "no" {
		t.Errorf("%+v", h)
	}
	if slices.Contains(h.SecurityOpt, "label=disable") || !slices.Contains(hostConfig(m, s, machine{selinux: true}).SecurityOpt, "label=disable") {
		t.Error("SELinux's label")
	}
	s = testSpec(func(s *spec.Lab) {
		plain(s)
		s.Machine.Memory, s.Machine.CPUs = 256<<20, 2
		no := false
		s.Etcd.Failpoints = &no
	})
	m = planned(s)[0]
	h = hostConfig(m, s, machine{selinux: true})
	if len(h.CapAdd)+len(h.Devices)+len(h.DeviceCgroupRules) != 0 || !slices.Equal(h.SecurityOpt, []string{"no-new-privileges:true"}) {
		t.Errorf("a plain disk needs nothing: %+v", h)
	}
	if h.Memory != 256<<20 || h.NanoCPUs != 2e9 || h.NetworkMode != "etcdlab-demo.control" || len(h.PortBindings) != 2 {
		t.Errorf("%+v", h)
	}
	if n := networking(m, s).EndpointsConfig; len(n) != 1 || n["etcdlab-demo.control"] == nil {
		t.Errorf("%v", n)
	}
	c := containerConfig(m, s, "sha256:1", nil)
	if !slices.Equal(c.Entrypoint, []string{"/usr/bin/etcdlab", "agent", "--dir", m.paths.dir}) || c.Hostname != "m1" || *c.StopTimeout != stopSeconds {
		t.Errorf("%+v", c)
	}
}

func TestExplain(t *testing.T) {
	p := &Provider{host: "unix:///x.sock"}
	ctx := context.Background()
	s := testSpec(nil)
	var env *lab.EnvironmentError
	for _, c := range []struct {
		err  error
		want string
	}{
		{p.explain(ctx, "list", fmt.Errorf("dial unix: %w", fs.ErrPermission)), "group docker"},
		{p.explain(ctx, "list", errors.New("Error response from daemon: client version 1.50 is too new. Maximum supported API version is 1.41")), "1.41"},
		{tooOld("1.40"), "20.10"},
		{p.refused(ctx, "m2", s, "start", errors.New(`error gathering device information while adding custom device "/dev/fuse": no such file or directory`)), "/dev/fuse for member m2"},
		{p.refused(ctx, "m2", s, "make", errors.New(`invalid CapAdd: capability not supported by your kernel or not available in the current environment: "CAP_MKNOD"`)), "--disk plain"},
	} {
		if !errors.As(c.err, &env) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%v does not say %q", c.err, c.want)
		}
	}
	if err := p.explain(ctx, "list", errors.New("boom")); errors.As(err, new(*lab.EnvironmentError)) || err.Error() != "list: boom" {
		t.Error(err)
	}
	if err := p.explain(ctx, "list", nil); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := p.explain(gone, "list", errors.New("boom")); err != context.Canceled {
		t.Error(err)
	}
}

func TestLoadError(t *testing.T) {
	for in, want := range map[string]string{
		"": "", `{"stream":"Loaded image"}` + "\n": "", `{"stream":"x"}{"errorDetail":{"message":"no space"},"error":"no space"}`: "no space", "<html>": "invalid character",
	} {
		if err := loadError(strings.NewReader(in)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

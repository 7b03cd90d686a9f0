package kmod

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var sample = &List{
	Release: "6.1.0",
	Modules: []Module{
		{Name: "virtio", File: "virtio.ko", Boot: true, Needs: []string{}},
		{Name: "virtio_ring", File: "virtio_ring.ko", Boot: true, Needs: []string{"virtio"}},
		{Name: "virtio_blk", File: "virtio_blk.ko", Boot: true, Needs: []string{"virtio_ring", "virtio"}},
		{Name: "xfs", File: "xfs.ko", Needs: []string{}},
	},
	Builtin: []string{"ext4"},
	Lacks:   []string{"dm_flakey"},
	Aliases: []Alias{{"fs-xfs", "xfs"}},
}

func TestListRoundTrip(t *testing.T) {
	got, err := Parse(sample.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample, got); d != "" {
		t.Error(d)
	}
}

func TestOrder(t *testing.T) {
	for name, want := range map[string]string{
		"virtio_blk": "virtio virtio_ring virtio_blk",
		"virtio-blk": "virtio virtio_ring virtio_blk",
		"fs-xfs":     "xfs",
		"ext4":       "",
	} {
		order, err := sample.Order(name)
		if err != nil {
			t.Error(err)
		}
		var names []string
		for _, m := range order {
			names = append(names, m.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if _, err := sample.Order("dm_flakey"); err == nil || !strings.Contains(err.Error(), "load module dm_flakey: this kernel (6.1.0)") {
		t.Errorf("got %v", err)
	}
	if n := len(sample.Boot()); n != 3 {
		t.Errorf("%d modules at boot", n)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"module":                           "line 1: too few words",
		"module a a.ko now":                "for boot or demand",
		"module a ../a.ko boot":            "beside the list",
		"module a a.ko boot b":             "not before it",
		"module a a.ko boot a":             "not before it",
		"module a a boot\nmodule a b boot": "line 2: a is there twice",
		"release 6.1 or so":                "unknown word release",
		"builtin x":                        "of which release",
		"insmod x":                         "unknown word insmod",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"kernel/drivers/md/dm-log-writes.ko.xz": "dm_log_writes", "xfs.ko": "xfs", "x.ko.gz": "x", "x.ko.zst": "x", "virtio-rng": "virtio_rng",
	} {
		if got := Name(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample.Encode())
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse(text)
		if err != nil {
			return
		}
		for _, m := range l.Modules {
			order, err := l.Order(m.Name)
			// An alias or a builtin of the same name may hide it.
			if err == nil && len(order) > len(l.Modules) {
				t.Errorf("%s: %d to load", m.Name, len(order))
			}
		}
		if _, err := Parse(l.Encode()); err != nil {
			t.Error(err)
		}
	})
}

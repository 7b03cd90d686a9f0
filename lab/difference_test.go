package lab

import (
	"testing"

	"github.com/etcdlab/etcdlab/lab/spec"
)

func TestDifference(t *testing.T) {
	make := func(change func(*spec.Lab)) *spec.Lab {
		s := &spec.Lab{Name: "demo", Members: spec.Count(2)}
		if change != nil {
			change(s)
		}
		s.Default()
		return s
	}
	is := map[string]Binaries{"m1": {Key: "k", Version: "v1"}, "m2": {Key: "k", Version: "v1"}}
	for _, c := range []struct {
		name   string
		spec   *spec.Lab
		images map[string]Binaries
		want   string
	}{
		{"same", make(nil), is, ""},
		{"provider", make(func(s *spec.Lab) { s.Provider = "process" }), is, ""},
		{"size", make(func(s *spec.Lab) { s.Disk.Size = 1 << 29 }), is, "- disk.size: 1073741824\n+ disk.size: 536870912"},
		{"tls", make(func(s *spec.Lab) { s.TLS = true }), is, "+ tls: true"},
		{"arg", make(func(s *spec.Lab) { s.Members[0].Etcd.Args = map[string]string{"x": "1"} }), is, "+ members[0].etcd.args.x: 1"},
		{"binaries", make(nil), map[string]Binaries{"m1": is["m1"], "m2": {Key: "l", Version: "v1"}}, "- binaries of m2: v1 k\n+ binaries of m2: v1 l"},
	} {
		if got := Difference(make(nil), is, c.spec, c.images); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

package docker

import (
	"testing"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd/etcdtest"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// The whole life of a lab, with TLS among members and from clients.
func TestLife(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 3, func(s *spec.Lab) { s.TLS = true })
	l := f.up(t)
	for i, m := range l.Members {
		if got := info(t, m); got.State != lab.StateRunning {
			t.Errorf("%+v", got)
		}
		etcdtest.Put(t, dial(t, l, i), "k", m.Name())
	}
	again := f.up(t)
	for i := range l.Members {
		if a, b := info(t, l.Members[i]), info(t, again.Members[i]); a.PID != b.PID || a.ClientURL != b.ClientURL {
			t.Errorf("the same spec: %+v became %+v", a, b)
		}
	}
}

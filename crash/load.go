package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// trafficError says which field of a scenario file's run is wrong.
type trafficError struct {
	field string // such as traffic.weights.put
	err   error
}

func (e *trafficError) Error() string { return e.field + ": " + e.err.Error() }
func (e *trafficError) Unwrap() error { return e.err }

// trafficOf is the load that a scenario file asks for; base is that of the
// scenario that it starts from.
func trafficOf(base traffic.Profile, t *spec.Traffic) (traffic.Profile, error) {
	p := base
	if t.Profile != "" || p.Name == "" && t.Changes() {
		var err error
		if p, err = traffic.Find(t.Profile); err != nil {
			return p, &trafficError{"traffic.profile", err}
		}
	}
	if !t.Changes() {
		return p, nil
	}
	p.Name += " (changed)"
	if err := mixOf(&p, t.Weights); err != nil {
		return p, err
	}
	if t.Sizes != nil {
		p.Sizes = nil
		for _, s := range t.Sizes {
			p.Sizes = append(p.Sizes, traffic.Size{Bytes: int(s.Size), Weight: s.Weight})
		}
	}
	if t.WatchFrom != nil {
		p.WatchFrom = t.WatchFrom
	}
	if t.LeaseTTLs != nil {
		p.LeaseTTLs = t.LeaseTTLs
	}
	for _, n := range []struct {
		to   *int
		said *int
	}{
		{&p.Clients, t.Clients}, {&p.PerMember, t.PerMember}, {&p.Keys, t.Keys}, {&p.Leases, t.Leases},
		{&p.Watchers, t.Watchers}, {&p.SlowWatchers, t.SlowWatchers},
	} {
		said(n.to, n.said)
	}
	for _, every := range []struct{ to, said *time.Duration }{
		{&p.CompactEvery, t.CompactEvery}, {&p.HashEvery, t.HashEvery}, {&p.DefragEvery, t.DefragEvery},
		{&p.SnapshotEvery, t.SnapshotEvery}, {&p.AuthEvery, t.AuthEvery},
	} {
		said(every.to, every.said)
	}
	if t.Rate != nil {
		p.Rate = float64(*t.Rate)
	}
	if t.CompactBehind != nil {
		p.CompactBehind = int64(*t.CompactBehind)
	}
	said(&p.Auth, t.Auth)
	said(&p.CompactDeletes, t.CompactDeletes)
	if err := p.Check(); err != nil {
		return p, &trafficError{"traffic", err}
	}
	return p, nil
}

// said sets what a file says, be it zero.
func said[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// mixOf puts the weights that a file says over those of the profile.
func mixOf(p *traffic.Profile, weights map[string]int) error {
	if len(weights) == 0 {
		return nil
	}
	var names []string
	for _, o := range traffic.Operations() {
		names = append(names, o.Name)
	}
	p.Mix = maps.Clone(p.Mix)
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		if !slices.Contains(names, name) {
			return &trafficError{"traffic.weights." + name, fmt.Errorf("unknown operation %q; the operations are %s", name, strings.Join(names, ", "))}
		}
		p.Mix[name] = weights[name]
	}
	return nil
}

// EtcdArgs are the flags of etcd that the load does well with, for a lab that says
// nothing of them. A password costs some 70 ms of a processor to check; a member
// that has started again checks all clients', and at etcd's default cost would
// on a busy machine do nothing else for longer than they wait.
func (o Options) EtcdArgs() map[string]string {
	if o.Traffic.Auth {
		return map[string]string{"bcrypt-cost": "4"}
	}
	return nil
}

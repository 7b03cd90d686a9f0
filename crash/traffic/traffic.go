// Package traffic owns the load: etcd clients that run a weighted mix of
// operations in closed loops, watchers, and the housekeeping that an etcd sees
// beside them. It records every operation, whatever became of it, and every
// answer to a watch.
package traffic

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
)

// Endpoint is one member's client address.
type Endpoint struct {
	Member string
	URL    string
}

// Sink takes every operation; history.Writer is one.
type Sink interface {
	Append(*history.Op) error
}

// WatchSink takes every record of a watch; history.WatchWriter is one.
type WatchSink interface {
	Append(*history.WatchRecord) error
}

// Options say what load to make.
type Options struct {
	RunID     string
	Prefix    string // of every key
	Endpoints []Endpoint
	TLS       *tls.Config
	Profile   Profile // zero is the default profile
	// Clients, if any, replace the profile's: so many closed loops, each bound
	// to one member, the members in turn.
	Clients int
	Rate    float64 // replaces the profile's, operations a second, if not 0
	Seed    uint64
	Timeout time.Duration // of one operation; 0 is 2 s, times Slow
	Slow    float64       // how many times longer the members take than usual; less than 1 is 1
	Sink    Sink
	// Watches, if any, takes what watchers are told: those of the profile, and
	// a recorder at each member, which watches every key from Base on.
	Watches WatchSink
	Base    int64 // the store's revision when the run began
	// MaxOps bounds the load whatever happens; 0 is 50 million.
	MaxOps uint64
}

func (o Options) withDefaults() (Options, error) {
	if err := o.Profile.Check(); err != nil {
		return o, err
	}
	o.Profile = o.Profile.withDefaults()
	if o.Clients > 0 {
		o.Profile.Clients, o.Profile.PerMember = 0, 0
	}
	if o.Rate == 0 {
		o.Rate = o.Profile.Rate
	}
	o.Slow = max(1, o.Slow)
	if o.Timeout == 0 {
		o.Timeout = o.slow(2 * time.Second)
	}
	if o.MaxOps == 0 {
		o.MaxOps = 50_000_000
	}
	n := o.Clients + o.Profile.Clients + o.Profile.PerMember*len(o.Endpoints)
	if len(o.Endpoints) == 0 || n < 1 || o.Clients < 0 {
		return o, fmt.Errorf("start traffic: %d clients on %d members; both must be at least 1", n, len(o.Endpoints))
	}
	return o, nil
}

// slow is d on members of this speed.
func (o Options) slow(d time.Duration) time.Duration {
	return time.Duration(float64(d) * max(1, o.Slow))
}

func now() int64 { return clock.Now() }

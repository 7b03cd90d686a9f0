package hunt

import (
	"math/rand/v2"
	"time"

	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// plain is the profile that every drawn load is written as a change of: it has
// one operation and nothing else, so that the file says all there is.
const plain = "puts"

const plainOperation = "put"

// drawTraffic draws a load: that of a profile, or some operations of all.
func drawTraffic(r *rand.Rand) spec.Traffic {
	t := spec.Traffic{Profile: plain, Weights: map[string]int{}}
	keys, perMember := pick(r, 3, 10, 30, 100, 300), pick(r, 2, 4, 6, 10)
	t.Keys, t.PerMember = &keys, &perMember
	if profiles := traffic.Profiles(); chance(r, .35) {
		for name, weight := range profiles[r.IntN(len(profiles))].Mix {
			t.Weights[name] = weight
		}
	} else {
		operations := traffic.Operations()
		for range pick(r, 1, 2, 3, 5, 8) {
			t.Weights[operations[r.IntN(len(operations))].Name] = pick(r, 5, 20, 100)
		}
	}
	// Of a load that writes nothing there is nothing to judge.
	if write := pick(r, 1, 5, 20, 100); t.Weights[plainOperation] == 0 {
		t.Weights[plainOperation] = write
	}
	drawWatchers(r, &t)
	if chance(r, .5) {
		t.CompactEvery = ptr(millis(r, 20, 100, 300, 1000))
		t.CompactBehind = ptr(pick(r, 5, 50, 200))
		if chance(r, .3) {
			t.CompactDeletes = ptr(true)
		}
	}
	for _, every := range []**time.Duration{&t.HashEvery, &t.DefragEvery, &t.SnapshotEvery} {
		if d := millis(r, 300, 1000, 2000); chance(r, .25) {
			*every = &d
		}
	}
	switch {
	case chance(r, .08):
		t.Auth = ptr(true)
	case chance(r, .1):
		t.Sizes = []spec.SizeWeight{{Size: 128, Weight: 90}, {Size: 32 << 10, Weight: 9}, {Size: 256 << 10, Weight: 1}}
	}
	if chance(r, .2) {
		t.LeaseTTLs, t.Leases = []int{1, 2}, ptr(pick(r, 4, 64))
	}
	return t
}

func drawWatchers(r *rand.Rand, t *spec.Traffic) {
	if !chance(r, .6) {
		return
	}
	t.Watchers = ptr(pick(r, 2, 6, 12, 24))
	if chance(r, .2) {
		t.SlowWatchers = ptr(pick(r, 2, 6))
	}
	if chance(r, .5) {
		starts := traffic.WatchStarts()
		t.WatchFrom = map[string]int{}
		for range pick(r, 1, 1, 2, 3) {
			t.WatchFrom[starts[r.IntN(len(starts))].Name] = pick(r, 1, 5)
		}
	}
}

func ptr[T any](v T) *T { return &v }

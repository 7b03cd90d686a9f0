package traffic

import (
	"fmt"
	"math"
	"time"
)

// Profile is a kind of load, by name. Its fields are of simple types, so that a
// scenario file can hold one; what is zero is said with each of them.
type Profile struct {
	Name string
	Doc  string
	// Mix is how often each operation is drawn: its name, as in Operations, and
	// its weight. Empty is the default profile's.
	Mix map[string]int
	// Rate bounds the operations a second of all clients; 0 is as fast as
	// answers come.
	Rate float64
	// Clients are closed loops that ask any member in turn, PerMember those
	// that each member has of its own.
	Clients, PerMember int
	Keys               int    // distinct keys; 0 is 100
	Sizes              []Size // of values; empty is 128 bytes
	// LeaseTTLs are drawn from, in seconds; empty is 1, 2 and 5. Leases bounds
	// how many are alive at a time; 0 is 32.
	LeaseTTLs []int
	Leases    int
	// Watchers watch keys, intervals and everything from revisions around the
	// newest; SlowWatchers wait between reads and let the member's buffers
	// fill. Both need Options.Watches.
	Watchers, SlowWatchers int
	// WatchFrom is how often watches begin where: a name, as in WatchStarts, and
	// its weight. Empty is mostly near the newest revision.
	WatchFrom map[string]int
	// CompactEvery is the time between compactions; 0 is none. They go up to a
	// revision at most CompactBehind below the newest; 0 is 100.
	CompactEvery  time.Duration
	CompactBehind int64
	// CompactDeletes compacts at revisions that deleted a key, and no others.
	CompactDeletes bool
	// HashEvery asks every member for its hash at one revision after a
	// compaction, no sooner than that after the last time; 0 is never.
	HashEvery time.Duration
	// DefragEvery and SnapshotEvery are the times between defragmentations of
	// one member, in turn, and downloads of a member's snapshot; 0 is never.
	DefragEvery, SnapshotEvery time.Duration
	// Auth enables authentication with users and roles of the run's own, and
	// changes a role every AuthEvery (0 is 1 s). Load.Stop disables it.
	Auth      bool
	AuthEvery time.Duration
}

// Size is how often values of so many bytes are written.
type Size struct {
	Bytes  int
	Weight int
}

// maxValue keeps a request, with its key, below etcd's limit of 1.5 MiB.
const maxValue = 1 << 20

// maxClients is of each of a profile's counts of clients.
const maxClients = 4096

// maxRate is more than any etcd does.
const maxRate = 1e9

// Check says what is wrong with the profile and what would be right.
func (p Profile) Check() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("traffic profile %q: "+format, append([]any{p.Name}, args...)...)
	}
	if err := checkStarts(p.WatchFrom); err != nil {
		return fail("%w", err)
	}
	if err := checkMix(p.Mix); err != nil {
		return fail("%w", err)
	}
	if !(p.Rate >= 0 && p.Rate <= maxRate) { // NaN is neither
		return fail("a rate of %g operations a second: must be 0 to %g", p.Rate, float64(maxRate))
	}
	for _, n := range []struct {
		what  string
		n     int64
		least int64
		most  int64
	}{
		{"clients", int64(p.Clients), 0, maxClients},
		{"clients of each member", int64(p.PerMember), 0, maxClients},
		{"keys", int64(p.Keys), 0, 1_000_000},
		{"leases", int64(p.Leases), 0, 100_000},
		{"watchers", int64(p.Watchers), 0, maxClients},
		{"slow watchers", int64(p.SlowWatchers), 0, maxClients},
		{"revisions between the newest and a compaction", p.CompactBehind, 0, math.MaxInt32},
	} {
		if n.n < n.least || n.n > n.most {
			return fail("%d %s: must be %d to %d", n.n, n.what, n.least, n.most)
		}
	}
	total := 0
	for _, s := range p.Sizes {
		if s.Bytes < 0 || s.Bytes > maxValue || s.Weight < 0 || s.Weight > maxWeight {
			return fail("values of %d bytes with weight %d: must be 0 to %d bytes and a weight of 0 to %d", s.Bytes, s.Weight, maxValue, maxWeight)
		}
		total += s.Weight
	}
	if len(p.Sizes) > 0 && total == 0 {
		return fail("no size of values has a weight")
	}
	for _, ttl := range p.LeaseTTLs {
		if ttl < 1 || ttl > 86400 {
			return fail("a lease of %d s: must be 1 to 86400", ttl)
		}
	}
	for _, d := range []time.Duration{p.CompactEvery, p.HashEvery, p.DefragEvery, p.SnapshotEvery, p.AuthEvery} {
		if d < 0 || d > 0 && d < time.Millisecond {
			return fail("every %v: must be 0, for never, or at least 1ms", d)
		}
	}
	return nil
}

func (p Profile) withDefaults() Profile {
	if len(p.Mix) == 0 {
		p.Mix = profiles[0].Mix
	}
	if p.Keys == 0 {
		p.Keys = 100
	}
	// An operation may want two different keys.
	p.Keys = max(2, p.Keys)
	if len(p.WatchFrom) == 0 {
		p.WatchFrom = map[string]int{"now": 30, "near": 45, "compacted": 10, "compaction": 5, "future": 10}
	}
	if len(p.Sizes) == 0 {
		p.Sizes = []Size{{Bytes: 128, Weight: 1}}
	}
	if len(p.LeaseTTLs) == 0 {
		p.LeaseTTLs = []int{1, 2, 5}
	}
	if p.Leases == 0 {
		p.Leases = 32
	}
	if p.CompactBehind == 0 {
		p.CompactBehind = 100
	}
	if p.AuthEvery == 0 {
		p.AuthEvery = time.Second
	}
	return p
}

package verify

import (
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// tenure is a key's being attached to a lease: from one revision up to the one
// that ended it, MaxInt64 while it is there.
type tenure struct {
	key      uint32
	from, to int64
	deleted  bool // by a tombstone, not by being put again
}

// tenures follows every key through the chronicle, and gives what was attached to
// each lease.
func (r *replay) tenures() map[int64][]tenure {
	type place struct {
		lease int64
		at    int
	}
	all := make(map[int64][]tenure)
	open := make(map[uint32]place)
	recs := r.chron.recs
	for i := range recs {
		g := &recs[i]
		if g.Is(datadir.Foreign) {
			continue
		}
		if p, ok := open[g.Key]; ok {
			a := &all[p.lease][p.at]
			a.to, a.deleted = g.Main, g.Is(datadir.Tombstone)
			delete(open, g.Key)
		}
		if g.Is(datadir.Tombstone) || g.Lease == 0 {
			continue
		}
		open[g.Key] = place{g.Lease, len(all[g.Lease])}
		all[g.Lease] = append(all[g.Lease], tenure{g.Key, g.Main, 1<<63 - 1, false})
	}
	for _, list := range all {
		for i := range list {
			list[i].blur(r.chron.gaps)
		}
	}
	return all
}

// blur lets what a missing revision may have ended count as ended by it.
func (a *tenure) blur(gaps []span) {
	for _, g := range gaps {
		if g.to > a.from && g.from < a.to {
			a.to, a.deleted = max(g.from, a.from+1), false
			return
		}
	}
}

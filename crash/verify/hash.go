package verify

import (
	"fmt"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

const checkHash = "member-hash"

// judgeHash says whether all members hold the same: by the hashes they answered
// while they were live, and by their key buckets, record for record.
func (c *evidence) judgeHash() Check {
	var f findings
	var d doubts
	if c.final == nil {
		d = append(d, "there is no final state: "+c.finalErr.Error())
	}
	live := c.liveHashes(&f, &d)
	told := c.historyHashes(&f)
	compared := 0
	members := c.cluster.members
	for i, a := range members {
		c.offlineHash(a, &f)
		for _, b := range members[i+1:] {
			if a.readable() && b.readable() {
				compared++
				c.sameRecords(a, b, &f)
				appliedOrder(a, b, &f)
			}
		}
		if !a.readable() {
			d = append(d, "the store of "+a.name+" could not be read")
		}
	}
	right := fmt.Sprintf("%d live members gave the same KV hash, and the key buckets of %d members are equal record for record", live, len(members))
	if told > 0 {
		right += fmt.Sprintf("; %d hashes told during the run equal one that was told at the same revision and compaction", told)
	}
	return settle(checkHash, &f, d, fmt.Sprintf("%d differences between members", f.total), right)
}

// liveHashes compares the answers to HashKV. Only those at one revision and one
// compaction can be compared.
func (c *evidence) liveHashes(f *findings, d *doubts) (n int) {
	var first *member
	for _, m := range c.cluster.members {
		switch {
		case m.final == nil:
			if c.final != nil {
				*d = append(*d, "the final state does not have "+m.name)
			}
			continue
		case m.final.HashRevision == 0:
			why := m.final.Error
			if why == "" {
				why = "it was not asked"
			}
			*d = append(*d, fmt.Sprintf("%s gave no hash: %s", m.name, why))
			continue
		}
		n++
		if first == nil {
			first = m
			continue
		}
		a, b := first.final, m.final
		switch {
		case a.HashRevision != b.HashRevision:
			*d = append(*d, fmt.Sprintf("%s was asked for its hash at revision %d and %s at %d", first.name, a.HashRevision, m.name, b.HashRevision))
		case a.CompactRevision != b.CompactRevision:
			*d = append(*d, fmt.Sprintf("%s was compacted at revision %d and %s at %d, so their hashes differ by right", first.name, a.CompactRevision, m.name, b.CompactRevision))
		case a.Hash != b.Hash:
			f.add(rankLost, a.HashRevision, func() Evidence {
				return Evidence{
					Message: fmt.Sprintf("at revision %d %s answered the KV hash %08x and %s %08x", a.HashRevision, first.name, a.Hash, m.name, b.Hash),
					Member:  m.name, Revision: a.HashRevision, Time: c.final.Time,
				}
			})
		}
	}
	return n
}

// offlineHash holds a member's live answer against what its disk holds: the
// hash is computed as etcd does, which is only possible before any compaction.
func (c *evidence) offlineHash(m *member, f *findings) {
	if !m.readable() || m.final == nil || m.final.CompactRevision > 0 {
		return
	}
	db := &m.store.Report.DB
	if db.HashRevision == 0 || db.HashRevision != m.final.HashRevision || db.Revision < db.HashRevision || db.Hash == m.final.Hash {
		return
	}
	f.add(rankLost, db.HashRevision, func() Evidence {
		return Evidence{
			Message: fmt.Sprintf("at revision %d %s answered the KV hash %08x, but its db holds what hashes to %08x", db.HashRevision, m.name, m.final.Hash, db.Hash),
			Member:  m.name, Revision: db.HashRevision, Time: c.final.Time,
		}
	})
}

// sameRecords compares two key buckets as far as both go.
func (c *evidence) sameRecords(a, b *member, f *findings) {
	t := &teller{run: c.run, keys: c.keys}
	upTo := min(a.revision(), b.revision())
	n := 0
	var first difference
	eachDifference(a, b, upTo, func(d difference) bool {
		if n++; n == 1 {
			first = d
		}
		return true
	})
	if n == 0 {
		return
	}
	f.add(rankChanged, first.main, func() Evidence {
		tell := func(m *member, group []datadir.Revision) string {
			if len(group) == 0 {
				return m.name + " does not have it"
			}
			return m.name + " has " + t.records(m, group)
		}
		more := ""
		if t.records(a, first.a) == t.records(b, first.b) {
			more = ", with other bytes"
		}
		return Evidence{
			Message: fmt.Sprintf("revision %d differs: %s, %s%s; %d revisions differ between the two", first.main, tell(a, first.a), tell(b, first.b), more, n),
			Member:  b.name, Revision: first.main, Keys: t.groupKeys(a, first.a),
		}
	})
}

func (t *teller) groupKeys(m *member, group []datadir.Revision) (keys []string) {
	for i := range group {
		keys = append(keys, t.keys.names[group[i].Key])
	}
	return keys
}

// appliedOrder holds revisions against raft indexes. The revision after an
// entry is the same on every member, and it never falls.
func appliedOrder(a, b *member, f *findings) {
	x, y := &a.store.Report.DB, &b.store.Report.DB
	if x.ConsistentIndex > y.ConsistentIndex || x.ConsistentIndex == y.ConsistentIndex && x.Revision > y.Revision {
		a, b, x, y = b, a, y, x
	}
	if x.ConsistentIndex == 0 || x.ConsistentIndex < y.ConsistentIndex && x.Revision <= y.Revision || x.Revision == y.Revision {
		return
	}
	f.add(rankChanged, min(x.Revision, y.Revision), func() Evidence {
		return Evidence{
			Message: fmt.Sprintf("%s is at revision %d after applying entry %d, and %s at revision %d after entry %d",
				a.name, x.Revision, x.ConsistentIndex, b.name, y.Revision, y.ConsistentIndex),
			Member: b.name, Revision: min(x.Revision, y.Revision),
		}
	})
}

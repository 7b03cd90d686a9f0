package verify

import (
	"fmt"

	"github.com/etcdlab/etcdlab/crash/history"
)

// moment is a state that members must have in common: a revision, and what a
// compaction had taken from it.
type moment struct{ revision, compacted int64 }

// hashed is one answer to HashKV.
type hashed struct {
	hash   uint32
	member string
	told   string // when, and to whom
	time   int64
	call   *callOp // nil: at the end of the run
}

// historyHashes compares all answers to HashKV that are of one revision and one
// compaction, whenever they were given: a member must also agree with itself.
// The answers of the end are among them, but not compared with one another here.
func (c *evidence) historyHashes(f *findings) (compared int) {
	if c.ops == nil || c.ops.malformed != "" {
		return 0
	}
	first := make(map[moment]hashed)
	for _, m := range c.cluster.members {
		if m.final == nil || m.final.HashRevision == 0 {
			continue
		}
		at := moment{m.final.HashRevision, m.final.CompactRevision}
		if _, ok := first[at]; !ok {
			first[at] = hashed{hash: m.final.Hash, member: m.name, told: "at the end of the run", time: c.final.Time}
		}
	}
	t := &teller{run: c.run}
	for i := range c.ops.calls {
		o := &c.ops.calls[i]
		if o.kind != history.KindHash || !o.ok() {
			continue
		}
		at := moment{o.Revision, o.CompactRevision}
		if at.revision == 0 {
			at.revision = o.rev // asked of the newest, which the answer's header names
		}
		if at.revision == 0 {
			continue
		}
		x := hashed{
			hash: o.Hash, member: c.ops.members[o.member], time: o.ret, call: o,
			told: fmt.Sprintf("at %s (operation %d of client %d)", t.at(o.ret), o.id, o.client),
		}
		a, ok := first[at]
		if !ok {
			first[at] = x
			continue
		}
		compared++
		if a.hash == x.hash {
			continue
		}
		f.add(rankLost, at.revision, func() Evidence {
			e := Evidence{
				Message: fmt.Sprintf("at revision %d, compacted at %d, %s answered the KV hash %08x %s and %s %08x %s",
					at.revision, max(at.compacted, 0), a.member, a.hash, a.told, x.member, x.hash, x.told),
				Operation: o.id, Client: o.client, Member: x.member, Revision: at.revision, Time: x.time,
			}
			if a.call != nil {
				e.Operations = []uint64{a.call.id, o.id}
			}
			return e
		})
	}
	return compared
}

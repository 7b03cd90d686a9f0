package second

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/model"
)

// problem is a history made ready for the search.
type problem struct {
	base    Base
	end     string // of the prefix's interval
	foreign map[int64]bool
	start   at
	ops     []porcupine.Operation
	unknown int
	// answered counts, by revision, the acknowledged operations that wrote nothing.
	answered map[int64]int
	inOrder  bool // a store is left only once all that was answered from it is placed
}

// at is a store whose revisions from the state's up to another are others'
// doing: they changed nothing that is followed.
type at struct {
	state *model.State
	upTo  int64
	from  int64 // where the others' revisions began
	done  int   // acknowledged operations between from and upTo that wrote nothing
}

// prepare leaves out what the search does not need: refused operations, and
// those that have nothing to do with keys. why is set if it cannot be asked.
func prepare(ops []history.Op, base Base) (p *problem, why string) {
	p = &problem{base: base, end: prefixEnd(base.Prefix), foreign: make(map[int64]bool), answered: make(map[int64]int)}
	for _, rev := range base.Foreign {
		p.foreign[rev] = true
	}
	leases := make(map[int64]int64)
	for id, ttl := range base.Leases {
		leases[id] = ttl
	}
	p.start = p.extend(model.From(base.Revision, base.Compacted, base.KVs, leases))
	attached := make(map[int64]int64) // lease to the first invoke of a put with it
	for _, kv := range base.KVs {
		if kv.Lease != 0 {
			attached[kv.Lease] = math.MinInt64
		}
	}
	since := newSince(ops)
	for i := range ops {
		o := &ops[i]
		if o.Outcome == history.Failed {
			continue
		}
		stale := false
		switch o.Kind {
		case history.KindKV, history.KindTxn:
			if why := p.beyond(o); why != "" {
				return p, why
			}
			writes := writes(o)
			if o.Outcome == history.Unknown && !writes {
				continue // it tells nothing and does nothing
			}
			stale = o.Outcome == history.OK && serializable(o)
			if stale && o.Revision < base.Revision {
				continue // of a member that was still further back
			}
			eachPut(o, func(r *history.Request) {
				if first, ok := attached[r.Lease]; r.Lease != 0 && (!ok || o.Invoke < first) {
					attached[r.Lease] = o.Invoke
				}
			})
		case history.KindCompact, history.KindLeaseGrant, history.KindLeaseRevoke:
			if o.Call == nil {
				return p, fmt.Sprintf("operation %d asks for nothing", o.ID)
			}
		case history.KindLock, history.KindUnlock, history.KindCampaign, history.KindProclaim, history.KindResign:
			if len(base.Blind) > 0 {
				continue
			}
			return p, fmt.Sprintf("operation %d is of a lock or an election, which write on their own", o.ID)
		default:
			continue
		}
		// A member that lags answers from an older state: the read took place
		// whenever that was the newest one.
		call := o.Invoke
		if stale {
			call = min(call, since.at(o.Revision))
		}
		p.add(o, call)
	}
	if base.NoLeaseEnds {
		clear(attached)
	}
	for id, first := range attached {
		end := &history.Op{Kind: history.KindLeaseRevoke, Call: &history.Call{Lease: id}}
		p.add(end, first)
	}
	slices.SortFunc(p.ops, func(a, b porcupine.Operation) int {
		return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.Input.(*history.Op).ID, b.Input.(*history.Op).ID))
	})
	for i := range p.ops {
		p.ops[i].Metadata = i
	}
	return p, ""
}

// add gives an operation its interval. One of unknown outcome has no end: that
// it comes after all others is as if it had never come.
func (p *problem) add(o *history.Op, call int64) {
	ret := int64(math.MaxInt64)
	if o.Outcome == history.OK {
		ret = o.Return + p.base.Uncertainty/2
		if idle(o) {
			p.answered[o.Revision]++
		}
	} else {
		p.unknown++
	}
	if call > math.MinInt64 {
		call -= (p.base.Uncertainty + 1) / 2
	}
	p.ops = append(p.ops, porcupine.Operation{ClientId: int(o.Client), Input: o, Call: call, Return: ret})
}

// extend goes on over revisions that others wrote.
func (p *problem) extend(s *model.State) at {
	a := at{state: s, upTo: s.Revision, from: s.Revision}
	for p.foreign[a.upTo+1] {
		a.upTo++
	}
	return a
}

// step is the store's transition. An unknown operation does what it can.
func (p *problem) step(a at, o *history.Op) (bool, at) {
	rev := a.upTo
	if o.Outcome == history.OK {
		rev = min(rev, o.Revision)
	}
	if rev < a.state.Revision {
		return false, a
	}
	s := a.state
	if rev > s.Revision {
		s = s.Skip(rev)
	}
	next, said, err := s.Apply(o)
	switch {
	case err != nil && err != model.ErrForgotten:
		return o.Outcome != history.OK, a
	case o.Outcome == history.OK && (said.Revision != o.Revision || !p.agrees(o, &said)):
		return false, a
	}
	if next.Revision == s.Revision {
		return true, a.after(next, o)
	}
	// What was answered from this revision cannot come after another: to find
	// that out only when its time is over would take for ever.
	return !p.inOrder || a.done == p.due(a), p.extend(next)
}

// after is the store after an operation that wrote nothing.
func (a at) after(s *model.State, o *history.Op) at {
	a.state = s
	if idle(o) {
		a.done++
	}
	return a
}

// idle says of an operation that it was acknowledged and wrote nothing, as far as
// its answer tells: a revoked lease may have had keys.
func idle(o *history.Op) bool {
	if o.Outcome != history.OK || o.Kind == history.KindLeaseRevoke {
		return false
	}
	return o.Kind > history.KindTxn || !owns(o)
}

// due is how many acknowledged operations wrote nothing and were answered from
// the revisions of a store.
func (p *problem) due(a at) (n int) {
	for rev := a.from; rev <= a.upTo; rev++ {
		n += p.answered[rev]
	}
	return n
}

// beyond says why an operation cannot be followed: it writes or compares keys of
// which others are the writers.
func (p *problem) beyond(o *history.Op) string {
	why := ""
	each(&history.Branches{Compares: o.Compares, Then: o.Then, Else: o.Else}, func(key, end string, reads bool) {
		if !reads && !p.within(key, end) {
			why = fmt.Sprintf("operation %d writes or compares beyond the run's keys", o.ID)
		}
	})
	return why
}

func (p *problem) within(key, end string) bool {
	for _, blind := range p.base.Blind {
		if strings.HasPrefix(key, blind) || end != "" && key <= blind && (end == "\x00" || end > blind) {
			return false
		}
	}
	if p.base.Prefix == "" {
		return true
	}
	return strings.HasPrefix(key, p.base.Prefix) && (end == "" || end != "\x00" && (p.end == "" || end <= p.end))
}

func prefixEnd(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return ""
}

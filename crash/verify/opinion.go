package verify

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
	search "github.com/etcdlab/etcdlab/crash/verify/second"
)

const checkOpinion = "second-opinion"

// What a search is asked about: it must be done in milliseconds, or the same run
// would get another verdict on a slower machine.
const (
	opinionWindows    = 8
	opinionOperations = 60
	opinionUnknown    = 4
	opinionTimeout    = 5 * time.Second
)

// judgeOpinion asks Porcupine about windows of the history and compares what it
// says with what the replay did. That both are right, or both wrong, is no proof;
// that they differ is a fault of one of them, and ours to mend.
func (c *evidence) judgeOpinion(ctx context.Context, dir history.Dir, r *replay) (Check, error) {
	var revs []int64
	for i := range r.h.all {
		if o := &r.h.all[i]; o.is(isOK) && o.rev > r.base && o.rev <= r.ref.revision() && !o.is(serializable) {
			revs = append(revs, o.rev)
		}
	}
	var asked, operations int
	var f findings
	for _, w := range search.Plan(revs, opinionOperations, opinionWindows) {
		if ctx.Err() != nil {
			return Check{}, ctx.Err()
		}
		base, ok := r.storeAt(w)
		if !ok {
			continue
		}
		ops, wrong, err := c.windowOps(dir, r, w)
		if err != nil {
			return Check{}, err
		}
		res := w.Search(ops, base, r.resolve, search.Limits{
			Operations: 8 * opinionOperations, Unknown: opinionUnknown, Concurrency: 64, Timeout: opinionTimeout,
		})
		if res.Answer == search.Unaffordable {
			continue
		}
		asked++
		operations += res.Operations
		r.compareOpinions(&f, w, res, wrong)
	}
	switch {
	case f.total > 0:
		return Check{
			Name: checkOpinion, Verdict: Error, Evidence: f.evidence(), Total: f.total,
			Detail: fmt.Sprintf("Porcupine and this judge differ over %d of %d windows of the history; the run directory is the bug report", f.total, asked),
		}, nil
	case asked == 0:
		return Check{}, nil
	}
	return Check{
		Name: checkOpinion, Verdict: Pass,
		Detail: fmt.Sprintf("Porcupine, asked about %d windows of the history with %d operations, agrees", asked, operations),
	}, nil
}

// compareOpinions adds a disagreement. What only the store shows, such as a lost
// write that nobody read, is not for a search over answers to see.
func (r *replay) compareOpinions(f *findings, w search.Window, res search.Result, wrong *op) {
	judged := r.durability.total + r.order.total + r.reads.total + r.txns.total
	switch {
	case res.Answer == search.NotLinearizable && judged == 0:
		f.add(rankOther, w.From, func() Evidence {
			e := Evidence{Revision: w.From, Message: fmt.Sprintf("Porcupine says that the %d operations at revisions %d to %d are not linearizable, and this judge that they are", res.Operations, w.From, w.To)}
			if n := r.h.find(res.Stuck); n >= 0 {
				o := &r.h.all[n]
				e = r.t.story(r.t.evidence(o, e.Message+"; no order reaches "+r.t.describe(o)), o)
			}
			return e
		})
	case res.Answer == search.Linearizable && wrong != nil:
		f.add(rankOther, w.From, func() Evidence {
			return r.t.story(r.t.evidence(wrong, fmt.Sprintf("Porcupine says that the %d operations at revisions %d to %d are linearizable, and this judge that %s was answered wrongly",
				res.Operations, w.From, w.To, r.t.describe(wrong))), wrong)
		})
	}
}

// resolve says where the replay found an operation of unknown outcome.
func (r *replay) resolve(id uint64) (revision int64, known bool) {
	n := r.h.find(id)
	if n < 0 || r.maybe[int32(n)] {
		return 0, false
	}
	return r.h.all[n].at, true
}

// storeAt is what the chronicle knows of the store at a window's begin; ok is
// false if that is not all.
func (r *replay) storeAt(w search.Window) (b search.Base, ok bool) {
	from := w.From
	if !r.chron.known(max(from, r.base+1), w.To) || from < r.compacted && !r.chron.told || r.chron.told && !r.chron.known(r.base+1, w.To) {
		return b, false
	}
	prefix := r.t.run.Prefix
	b = search.Base{Revision: from, Prefix: prefix, Uncertainty: r.t.run.ClockUncertainty}
	b.Blind = []string{prefix + history.LockPrefix, prefix + history.ElectionPrefix}
	b.NoLeaseEnds = !slices.ContainsFunc(r.chron.ends, func(e leaseEnd) bool { return e.rev > from && e.rev <= w.To })
	for key, name := range r.h.keys.names {
		if strings.HasPrefix(name, b.Blind[0]) || strings.HasPrefix(name, b.Blind[1]) {
			continue
		}
		g, ok := r.chron.last(uint32(key), from)
		if !ok || g.Is(datadir.Tombstone) || g.Is(datadir.Foreign) {
			continue
		}
		v, ok := r.valueOf(g)
		if !ok {
			return b, false
		}
		b.KVs = append(b.KVs, history.KV{
			Key: name, Value: v, CreateRevision: g.Create, ModRevision: g.Main, Version: g.Version, Lease: g.Lease,
		})
	}
	for rev := from + 1; rev <= w.To; rev++ {
		group := r.chron.group(rev)
		if len(group) == 0 {
			return b, false
		}
		if r.sessions(group) || !slices.ContainsFunc(group, func(g datadir.Revision) bool { return !g.Is(datadir.Foreign) }) {
			b.Foreign = append(b.Foreign, rev)
		}
	}
	return b, true
}

// valueOf makes a record's value again from its name.
func (r *replay) valueOf(g *datadir.Revision) (string, bool) {
	if g.Value == emptyHash {
		return "", true
	}
	if !g.Is(datadir.Named) {
		return "", false
	}
	v := history.Value(r.t.run.ID, g.Client, g.Op, int(g.N), int(g.Size))
	return v, datadir.Hash(v) == g.Value
}

// windowOps reads the operations of a window again, with their strings. wrong is
// the first of them that the replay found to be answered wrongly.
func (c *evidence) windowOps(dir history.Dir, r *replay, w search.Window) (ops []history.Op, wrong *op, err error) {
	f, err := os.Open(dir.Path(history.FileOps))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	wanted := make(map[uint64]bool)
	for b := range r.h.offsets {
		last := len(r.h.all)
		if b+1 < len(r.h.blocks) {
			last = int(r.h.blocks[b+1])
		}
		clear(wanted)
		for i := int(r.h.blocks[b]); i < last; i++ {
			o := &r.h.all[i]
			if o.is(isOK | serializable) {
				// It may be stale, so it may be of any time: a search has to try
				// them all.
				continue
			}
			if rev := o.known(); rev >= w.From && rev <= w.To || !o.is(isOK) && !o.is(isFailed) && r.maybe[int32(i)] {
				wanted[uint64(o.id)] = true
				if wrong == nil && o.is(misanswered) && rev > w.From {
					wrong = o
				}
			}
		}
		if len(wanted) == 0 {
			continue
		}
		reader := history.ResumeReader(f, r.h.offsets[b])
		for n := 0; n < block && len(wanted) > 0; n++ {
			var in history.Op
			if err := reader.Next(&in); err != nil {
				return nil, nil, err
			}
			if wanted[in.ID] {
				delete(wanted, in.ID)
				ops = append(ops, in)
			}
		}
	}
	for i := range r.h.calls {
		x := &r.h.calls[i]
		if x.outcome == history.Failed || x.ok() && (x.rev < w.From || x.rev > w.To) {
			continue
		}
		ops = append(ops, history.Op{
			ID: x.id, Client: x.client, Kind: x.kind, Call: &x.Call, Invoke: x.invoke, Return: x.ret, Outcome: x.outcome, Revision: x.rev,
		})
	}
	return ops, wrong, nil
}

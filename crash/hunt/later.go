package hunt

import (
	"context"
	"sort"
)

// later looks for the first release on which the scenario passes with every seed.
// Once fixed is fixed in the releases after it, so it halves what is left; what
// passes by luck is found out by the seeds, and the next is tried.
func (h *hunter) later(ctx context.Context, f *Finding) {
	if f.Rate.Failed == 0 || len(h.o.Later) == 0 {
		return
	}
	passes := func(version string, first uint64, n int) bool {
		r := h.trial(ctx, f, f.file, version, first, n, 1, n)
		if ctx.Err() == nil {
			h.o.Progress("finding %s: %d of %d pass on %s", f.ID, r.Of-r.Failed, r.Of, version)
		}
		return r.Failed == 0 && r.Of == n
	}
	// So many passes by luck are seldom in a row.
	glance := 2
	if f.Rate.Failed < f.Rate.Of {
		glance = 4
	}
	// A tag that passes is worth more than the first that does: the newest comes first.
	last := len(h.o.Later) - 1
	passed := func(at int) {
		f.Passes = &Later{Etcd: h.o.Later[at], Passed: seeds, Of: seeds}
		h.keep(f)
	}
	if !passes(h.o.Later[last], 1, seeds) {
		return
	}
	passed(last)
	at := sort.Search(last, func(i int) bool { return ctx.Err() == nil && passes(h.o.Later[i], 300, glance) })
	for ; at < last && ctx.Err() == nil; at++ {
		if passes(h.o.Later[at], 1, seeds) {
			passed(at)
			return
		}
	}
}

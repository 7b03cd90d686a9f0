package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// realtime holds, for every operation, the newest revision that anyone had been
// told of before it was invoked. Two operations that do not overlap in time
// have the order of their revisions, so nothing invoked later may be below.
type realtime struct {
	floor []int64
	by    []int32 // the operation that was told; -1: the run's base; below: a call's index, less 2, negated
	// byInvoke has all operations, byReturn the acknowledged, in order of time.
	byInvoke, byReturn []int32
}

// newRealtime sweeps once over the invocations beside the acknowledgements in
// order of return. Operations whose times are equal count as overlapping, and
// so do those that are no further apart than the clocks may have been,
// uncertainty nanoseconds.
func newRealtime(h *ops, base, uncertainty int64) *realtime {
	n := len(h.all)
	rt := &realtime{floor: make([]int64, n), by: make([]int32, n)}
	byInvoke := make([]int32, n)
	var byReturn []int32
	for i := range h.all {
		byInvoke[i] = int32(i)
		if h.all[i].is(isOK) {
			byReturn = append(byReturn, int32(i))
		}
	}
	slices.SortFunc(byInvoke, func(a, b int32) int {
		return cmp.Or(cmp.Compare(h.all[a].invoke, h.all[b].invoke), int(a-b))
	})
	slices.SortFunc(byReturn, func(a, b int32) int {
		return cmp.Or(cmp.Compare(h.all[a].ret, h.all[b].ret), int(a-b))
	})
	rt.byInvoke, rt.byReturn = byInvoke, byReturn
	var calls []int32
	for i := range h.calls {
		if h.calls[i].rev > 0 {
			calls = append(calls, int32(i))
		}
	}
	slices.SortFunc(calls, func(a, b int32) int {
		return cmp.Or(cmp.Compare(h.calls[a].ret, h.calls[b].ret), int(a-b))
	})
	top, by := base, int32(-1)
	for _, i := range byInvoke {
		before := h.all[i].invoke - uncertainty
		for len(calls) > 0 && h.calls[calls[0]].ret < before {
			if rev := h.calls[calls[0]].rev; rev > top {
				top, by = rev, -2-calls[0]
			}
			calls = calls[1:]
		}
		for len(byReturn) > 0 && h.all[byReturn[0]].ret < before {
			if o := &h.all[byReturn[0]]; o.rev > top {
				top, by = o.rev, byReturn[0]
			}
			byReturn = byReturn[1:]
		}
		rt.floor[i], rt.by[i] = top, by
	}
	return rt
}

// judge adds every operation whose revision contradicts real time: a write must
// be above the floor, a linearizable read at least at it. Writes whose outcome
// was unknown count with the revision at which the store holds them.
func (rt *realtime) judge(h *ops, t *teller, f *findings) {
	for i := range h.all {
		o := &h.all[i]
		rev, floor := o.known(), rt.floor[i]
		writes := o.is(owns) || o.at > 0
		if rev == 0 || o.is(serializable) || rev > floor || rev == floor && !writes {
			continue
		}
		f.add(rankOrder, rev, func() Evidence {
			who, both := "the run began with it", []*op{o}
			switch by := rt.by[i]; {
			case by < -1:
				c := &h.calls[-2-by]
				who = fmt.Sprintf("%s %d of client %d had been answered with it", c.kind, c.id, c.client)
			case by >= 0:
				b := &h.all[by]
				both = append(both, b)
				who = strings.TrimSuffix(t.describe(b), ",") + " had returned"
			}
			return t.story(t.evidence(o, fmt.Sprintf("%s is at revision %d, though revision %d was known before it was invoked at %s: %s",
				t.describe(o), rev, floor, t.at(o.invoke), who)), both...)
		})
	}
}

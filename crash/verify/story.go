package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// story gives evidence the fewest operations that show it, in order of time,
// and the first fault between or after them.
func (t *teller) story(e Evidence, ops ...*op) Evidence {
	slices.SortFunc(ops, func(a, b *op) int { return cmp.Or(cmp.Compare(a.invoke, b.invoke), cmp.Compare(a.id, b.id)) })
	ops = slices.Compact(ops)
	told := false
	for i, o := range ops {
		if i > 0 && !told {
			told = t.fault(&e, ops[0].invoke, o.invoke)
		}
		e.Operations = append(e.Operations, uint64(o.id))
		e.Story = append(e.Story, t.line(o))
	}
	if !told {
		t.fault(&e, ops[0].invoke, 1<<63-1)
	}
	return e
}

// line is one operation of a story.
func (t *teller) line(o *op) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  operation %d: client %d asks %s to %s; ", t.at(o.invoke), o.id, o.client, t.by(o), t.what(o))
	switch {
	case o.is(isOK):
		fmt.Fprintf(&b, "answered at %s: revision %d%s", t.at(o.ret), o.rev, t.answers(o))
	case o.is(isFailed):
		fmt.Fprintf(&b, "refused at %s", t.at(o.ret))
	default:
		fmt.Fprintf(&b, "no answer until %s, outcome unknown", t.at(o.ret))
		if o.at > 0 {
			fmt.Fprintf(&b, ", but it is in the store at revision %d", o.at)
		}
	}
	return b.String()
}

// answers tells the first keys that an operation was answered with.
func (t *teller) answers(o *op) string {
	const most = 3
	var parts []string
	for _, a := range t.h.results(o) {
		for _, kv := range t.h.kvs[a.kvs : a.kvs+a.n] {
			parts = append(parts, fmt.Sprintf("%s at mod revision %d", t.key(kv.key), kv.mod))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	if len(parts) > most {
		parts = append(parts[:most], fmt.Sprintf("%d more", len(parts)-most))
	}
	return ", " + strings.Join(parts, ", ")
}

// fault adds the first fault after a time and before another.
func (t *teller) fault(e *Evidence, after, before int64) bool {
	for i := range t.events {
		ev := &t.events[i]
		if ev.Time < after || ev.Kind != history.EventCut && ev.Kind != history.EventKilled && ev.Kind != history.EventExited {
			continue
		}
		if ev.Time > before {
			return false
		}
		e.Story = append(e.Story, t.at(ev.Time)+"  "+strings.TrimPrefix(t.nextFault(ev.Time), "; the next fault was "))
		return true
	}
	return false
}

// authors are the operations that wrote what a key is in the state, and what it
// was answered as.
func (r *replay) authors(o *op) []*op {
	ops := []*op{o}
	add := func(rev int64) {
		for _, g := range r.chron.group(rev) {
			if !g.Is(datadir.Named) {
				continue
			}
			if n := r.h.find(g.Op); n >= 0 && r.h.all[n].client == g.Client && len(ops) < 4 {
				ops = append(ops, &r.h.all[n])
			}
		}
	}
	add(r.state.get(r.about).mod)
	for _, a := range r.h.results(o) {
		for _, kv := range r.h.kvs[a.kvs : a.kvs+a.n] {
			if kv.key == r.about {
				add(kv.mod)
			}
		}
	}
	return ops
}

package verify

import (
	"fmt"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// teller puts findings into words that a person can follow.
type teller struct {
	run    *history.Run
	events []history.Event
	h      *ops
	keys   *keyTable
	end    string // of the interval of the run's prefix
}

// at is a time since the run began.
func (t *teller) at(ns int64) string {
	return fmt.Sprintf("%.3fs", float64(ns-t.run.Start)/1e9)
}

// key is a key with the run's prefix shortened.
func (t *teller) key(n uint32) string {
	if rest, ok := strings.CutPrefix(t.keys.names[n], t.run.Prefix); ok {
		return "/etcdlab/../" + rest
	}
	return fmt.Sprintf("%q", t.keys.names[n])
}

func (t *teller) interval(key, end uint32) string {
	if end == 0 {
		return t.key(key)
	}
	return "[" + t.key(key) + ", " + t.key(end) + ")"
}

// within says whether an interval holds only keys of the run's prefix.
func (t *teller) within(key, end uint32) bool {
	if !strings.HasPrefix(t.keys.names[key], t.run.Prefix) {
		return false
	}
	e := t.keys.names[end]
	return e == "" || e != "\x00" && (strings.HasPrefix(e, t.run.Prefix) || e <= t.end)
}

// prefixEnd is the first key after all that begin with prefix; "" for none.
func prefixEnd(prefix string) string {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1])
		}
	}
	return ""
}

// value is a put's value by its name: client/operation, and the request's
// number when a transaction has several.
func value(client int32, op uint64, n int) string {
	s := fmt.Sprintf("c%d/%06d", client, op)
	if n > 0 {
		s += fmt.Sprintf(".%d", n)
	}
	return s
}

// describe names an operation: "put K = c3/000123, acknowledged by m1 at 12.345s
// (revision 4711)".
func (t *teller) describe(o *op) string {
	var b strings.Builder
	b.WriteString(t.what(o))
	switch {
	case o.is(isOK):
		fmt.Fprintf(&b, ", acknowledged by %s at %s (revision %d),", t.by(o), t.at(o.ret), o.rev)
	case o.is(isFailed):
		fmt.Fprintf(&b, ", refused at %s,", t.at(o.ret))
	default:
		fmt.Fprintf(&b, ", invoked at %s with an unknown outcome,", t.at(o.invoke))
	}
	return b.String()
}

func (t *teller) by(o *op) string {
	if name := t.h.members[o.member]; name != "" {
		return name
	}
	return "a member"
}

func (t *teller) what(o *op) string {
	if !o.is(isTxn) {
		return t.request(o, 0, &t.h.then(o)[0])
	}
	var parts []string
	branch := t.h.branch(o, o.is(succeeded) || !o.is(isOK))
	for i := range branch {
		parts = append(parts, t.request(o, i, &branch[i]))
	}
	return fmt.Sprintf("transaction %d of client %d (%s)", o.id, o.client, strings.Join(parts, ", "))
}

func (t *teller) request(o *op, i int, q *request) string {
	switch q.verb {
	case history.Put:
		return fmt.Sprintf("put %s = %s", t.key(q.key), value(o.client, uint64(o.id), i))
	case history.Delete:
		return "delete " + t.interval(q.key, q.end)
	}
	return "get " + t.interval(q.key, q.end)
}

// fullKeys are the keys an operation writes, as etcdctl would take them.
func (t *teller) fullKeys(o *op) (keys []string) {
	for _, q := range t.h.branch(o, o.is(succeeded) || !o.is(isOK)) {
		keys = append(keys, t.keys.names[q.key])
	}
	return keys
}

// evidence is the frame that all evidence about an operation has.
func (t *teller) evidence(o *op, message string) Evidence {
	at := o.ret
	if !o.is(isOK) {
		at = o.invoke
	}
	return Evidence{
		Message: message, Operation: uint64(o.id), Client: o.client, Member: t.h.members[o.member],
		Revision: o.known(), Time: at, Keys: t.fullKeys(o),
	}
}

// nextFault cites what happened to the members after a time: the first cut,
// kill or exit, with all the members it met in that round.
func (t *teller) nextFault(after int64) string {
	for i := range t.events {
		e := &t.events[i]
		if e.Time < after || e.Kind != history.EventCut && e.Kind != history.EventKilled && e.Kind != history.EventExited {
			continue
		}
		var names []string
		for _, o := range t.events[i:] {
			if o.Kind == e.Kind && o.Round == e.Round {
				names = append(names, o.Member)
			}
		}
		what := "exit"
		switch {
		case e.Cut != nil:
			what = "power cut (" + e.Cut.Policy + ")"
		case e.Kind == history.EventKilled:
			what = "kill"
		}
		return fmt.Sprintf("; the next fault was the %s of %s in round %d at %s", what, strings.Join(names, ", "), e.Round, t.at(e.Time))
	}
	return "; no fault followed it"
}

// records tells what a revision holds.
func (t *teller) records(m *member, group []datadir.Revision) string {
	var parts []string
	for i := range group {
		g := &group[i]
		key := t.key(g.Key)
		switch {
		case g.Is(datadir.Tombstone):
			parts = append(parts, "a delete of "+key)
		case g.Is(datadir.Foreign):
			parts = append(parts, "a put of "+key+" by someone else")
		case g.Is(datadir.Named):
			parts = append(parts, key+" = "+value(g.Client, g.Op, int(g.N)))
		default:
			parts = append(parts, key+" = a value that is not the run's")
		}
		if i == 3 && len(group) > 4 {
			parts = append(parts, fmt.Sprintf("%d more", len(group)-4))
			break
		}
	}
	return strings.Join(parts, " and ")
}

func names(members []*member) string {
	var s []string
	for _, m := range members {
		s = append(s, m.name)
	}
	return strings.Join(s, ", ")
}

package transcript

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Filter lets records through; its zero value all of them. Each field that is
// set must let a record through, and a record that has nothing of the kind that
// a field asks for (an event has no client) does not pass it.
type Filter struct {
	Clients []int32
	Members []string // of an operation the one asked or the one that answered
	// Key is the begin of a key, with or without the run's prefix.
	Key string
	// Kinds are of operations, of requests inside them (put, range, delete), of
	// watches' records and of events; see CheckKind.
	Kinds []string
	// From and To are revisions, inclusive; 0 is no bound.
	From, To int64
	// Since and Until are after the run's begin; 0 is no bound.
	Since, Until time.Duration
	// Failed and Unknown ask for operations with one of these outcomes.
	Failed, Unknown bool
	// Ops, Watches and Events ask for these alone; none of them set is all.
	Ops, Watches, Events bool

	run *history.Run
}

// ParseRevisions reads a range of revisions: A..B, A.., ..B or A.
func ParseRevisions(s string) (from, to int64, err error) {
	bad := fmt.Errorf("revisions %q: want A..B, A.., ..B or one revision", s)
	parse := func(s string) (int64, bool) {
		n, err := strconv.ParseInt(s, 10, 64)
		return n, err == nil && n > 0
	}
	a, b, isRange := strings.Cut(s, "..")
	if !isRange {
		b = a
	}
	if a == "" && b == "" {
		return 0, 0, bad
	}
	var ok bool
	if a != "" {
		if from, ok = parse(a); !ok {
			return 0, 0, bad
		}
	}
	if b != "" {
		if to, ok = parse(b); !ok || to < from {
			return 0, 0, bad
		}
	}
	return from, to, nil
}

// kinds are the words of Filter.Kinds, in the order of the types.
var kinds = func() (all []string) {
	add := func(name func(i uint8) string) {
		for i := range uint8(math.MaxUint8) {
			n := name(i)
			if n == "invalid" {
				return
			}
			if !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
	}
	add(func(i uint8) string { return history.Verb(i).String() })
	add(func(i uint8) string { return history.Kind(i).String() })
	add(func(i uint8) string { return history.WatchKind(i).String() })
	for _, k := range []history.EventKind{
		history.EventRunStart, history.EventRunEnd, history.EventRoundStart, history.EventRoundEnd, history.EventFault,
		history.EventHealed, history.EventHeld, history.EventFrozen, history.EventLinkDown, history.EventLinkUp, history.EventCut,
		history.EventKilled, history.EventExited, history.EventRestored, history.EventMounted, history.EventStarted,
		history.EventServing, history.EventNotServing,
	} {
		all = append(all, string(k))
	}
	return all
}()

// CheckKind says whether records may be of that kind.
func CheckKind(kind string) error {
	if !slices.Contains(kinds, kind) {
		return fmt.Errorf("unknown kind %q; the kinds are %s", kind, strings.Join(kinds, ", "))
	}
	return nil
}

func (f *Filter) lets(r *Record) bool {
	at := time.Duration(r.Time - f.run.Start)
	if f.Since > 0 && at < f.Since || f.Until > 0 && at > f.Until {
		return false
	}
	if some := f.Ops || f.Watches || f.Events; some && !(f.Ops && r.Op != nil || f.Watches && r.Watch != nil || f.Events && r.Event != nil) {
		return false
	}
	switch {
	case r.Op != nil:
		return f.letsOp(r.Op)
	case r.Watch != nil:
		return f.letsWatch(r.Watch)
	}
	return f.letsEvent(r.Event)
}

func (f *Filter) letsOp(o *history.Op) bool {
	if f.Failed || f.Unknown {
		if !(f.Failed && o.Outcome == history.Failed || f.Unknown && o.Outcome == history.Unknown) {
			return false
		}
	}
	return f.client(o.Client) && f.member(o.Member, o.MemberID) && f.revision(o.Revision, o.Revision) &&
		f.kind(func(k string) bool { return k == o.Kind.String() || hasVerb(o.Then, k) || hasVerb(o.Else, k) }) &&
		(f.Key == "" || f.opKey(o))
}

func (f *Filter) letsWatch(w *history.WatchRecord) bool {
	if f.Failed || f.Unknown {
		return false
	}
	low, high := w.Revision, w.Revision
	for i := range w.Events {
		mod := w.Events[i].KV.ModRevision
		low, high = min(low, mod), max(high, mod)
	}
	return f.client(w.Client) && f.member(w.Member, w.MemberID) && f.revision(low, high) &&
		f.kind(func(k string) bool { return k == w.Kind.String() }) &&
		(f.Key == "" || f.watchKey(w))
}

func (f *Filter) letsEvent(e *history.Event) bool {
	if f.Failed || f.Unknown || len(f.Clients) > 0 || f.Key != "" || f.From > 0 || f.To > 0 {
		return false
	}
	return (len(f.Members) == 0 || slices.Contains(f.Members, e.Member)) &&
		f.kind(func(k string) bool { return k == string(e.Kind) })
}

func (f *Filter) client(id int32) bool { return len(f.Clients) == 0 || slices.Contains(f.Clients, id) }

func (f *Filter) member(asked string, answered uint64) bool {
	if len(f.Members) == 0 || slices.Contains(f.Members, asked) {
		return true
	}
	name := nameOf(f.run, answered)
	return name != "" && slices.Contains(f.Members, name)
}

// revision asks whether low to high and the wanted revisions have one in common.
func (f *Filter) revision(low, high int64) bool {
	return f.From == 0 && f.To == 0 || high > 0 && high >= f.From && (f.To == 0 || low <= f.To)
}

func (f *Filter) kind(is func(string) bool) bool {
	return len(f.Kinds) == 0 || slices.ContainsFunc(f.Kinds, is)
}

func hasVerb(reqs []history.Request, verb string) bool {
	return slices.ContainsFunc(reqs, func(r history.Request) bool {
		return r.Verb.String() == verb || r.Txn != nil && (hasVerb(r.Txn.Then, verb) || hasVerb(r.Txn.Else, verb))
	})
}

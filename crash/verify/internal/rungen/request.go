package rungen

import (
	"fmt"

	"github.com/etcdlab/etcdlab/crash/history"
)

func (s *sim) key() string { return s.keyN(s.r.IntN(s.o.Keys)) }
func (s *sim) keyN(n int) string {
	return fmt.Sprintf("%sk%06d", s.run.Meta.Prefix, n)
}

// request fills in what an operation asks for: the mix of crash/traffic, and
// some of what etcd's API has beyond it.
func (s *sim) request(op *history.Op) {
	if s.o.recorded() && s.special(op) {
		return
	}
	key := s.key()
	value := func(n int) string { return history.Value(s.run.Meta.ID, op.Client, op.ID, n, s.o.Value) }
	put := func(key string, n int) history.Request {
		return history.Request{Verb: history.Put, Key: key, Value: value(n)}
	}
	get := history.Request{Verb: history.Range, Key: key}
	kv := func(r history.Request) { op.Then = []history.Request{r} }
	kind := s.r.IntN(100)
	switch {
	case kind < 40:
		kv(put(key, 0))
	case kind < 55:
		kv(get)
	case kind < 60:
		op.Member = s.run.Meta.Members[s.r.IntN(s.o.Members)].Name
		get.Serializable = true
		kv(get)
	case kind < 68:
		n := s.r.IntN(s.o.Keys)
		kv(history.Request{Verb: history.Range, Key: s.keyN(n), End: s.keyN(n + 5), Limit: int64(s.r.IntN(2) * 3), Serializable: s.r.IntN(2) == 0})
	case kind < 76:
		kv(history.Request{Verb: history.Delete, Key: key})
	case kind < 78:
		n := s.r.IntN(s.o.Keys)
		kv(history.Request{Verb: history.Delete, Key: s.keyN(n), End: s.keyN(n + 3)})
	case kind < 80:
		get.Revision = max(s.run.Meta.Base.Revision, s.s.Revision-s.r.Int64N(20))
		kv(get)
	case kind < 90:
		op.Kind = history.KindTxn
		op.Compares = []history.Compare{{Key: key, Target: history.CompareMod, Result: history.Equal, Number: s.seen[key]}}
		op.Then = []history.Request{put(key, 0), get}
		op.Else = []history.Request{get}
	case kind < 95:
		op.Kind = history.KindTxn
		n := s.r.IntN(s.o.Keys)
		op.Then = []history.Request{{Verb: history.Range, Key: s.keyN(n)}, put(s.keyN(n), 1), put(s.keyN((n+1)%s.o.Keys), 2), {Verb: history.Range, Key: s.keyN(n)}}
	case kind < 98:
		op.Kind = history.KindTxn
		op.Compares = []history.Compare{{Key: key, Target: history.CompareVersion, Result: history.CompareResult(s.r.IntN(4)), Number: int64(s.r.IntN(4))}}
		op.Then = []history.Request{{Verb: history.Delete, Key: key}, get}
		op.Else = []history.Request{put(key, 0)}
	default:
		op.Kind = history.KindTxn
		op.Compares = []history.Compare{{Key: key, Target: history.CompareValue, Result: history.NotEqual, Value: value(7)}}
		all := history.Request{Verb: history.Range, Key: s.run.Meta.Prefix, End: PrefixEnd(s.run.Meta.Prefix)}
		if s.o.Keys > 100 {
			all.Limit = 10 // as traffic does; all of a thousand keys would be most of the history
		}
		op.Then, op.Else = []history.Request{get}, []history.Request{all}
	}
}

// Package model owns a small model of etcd's KV semantics: what a store holds
// at each revision, what each operation does to it and is answered. It shares no
// code with the checkers and is written to be seen to be right, not to be fast;
// its proof is a test against a real etcd.
package model

import (
	"maps"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// State is a store at one revision. It is never changed: an operation makes
// another one, which knows the one before it, so that reads at older revisions
// can be answered.
type State struct {
	Revision  int64
	Compacted int64    // reads below it fail; 0: never compacted
	Changes   []Change // what Revision itself wrote, in order

	kvs    []*history.KV   // live keys, in order
	leases map[int64]int64 // ID to the TTL granted, seconds
	before *State          // of an older revision; nil: not known
}

// Change is one record of a revision. KV of a tombstone has a key and a mod
// revision alone.
type Change struct {
	Tombstone bool
	KV        history.KV
	Prev      *history.KV // what was there before; nil: nothing
}

// New is an empty store, whose revision is 1.
func New() *State { return &State{Revision: 1} }

// From is a store of which only one revision is known.
func From(revision, compacted int64, kvs []history.KV, leases map[int64]int64) *State {
	s := &State{Revision: revision, Compacted: compacted, leases: leases}
	for _, kv := range kvs {
		s.kvs = append(s.kvs, &kv)
	}
	slices.SortFunc(s.kvs, byKey)
	return s
}

func byKey(a, b *history.KV) int { return strings.Compare(a.Key, b.Key) }

// At is the store as it was at a revision up to its own; nil if that is not
// known any more.
func (s *State) At(revision int64) *State {
	for s != nil && s.Revision > revision {
		s = s.before
	}
	return s
}

// Forget lets go of the states further back than the given number of steps.
func (s *State) Forget(steps int) {
	for ; s != nil && steps > 0; steps-- {
		s = s.before
	}
	if s != nil {
		s.before = nil
	}
}

// Get is a key's live value.
func (s *State) Get(key string) (history.KV, bool) {
	if kvs := span(s.kvs, key, ""); len(kvs) == 1 {
		return *kvs[0], true
	}
	return history.KV{}, false
}

// KVs are the live keys of an interval as in etcd's API: no end is the one key,
// "\x00" is everything from the key on.
func (s *State) KVs(key, end string) []history.KV { return values(span(s.kvs, key, end)) }

// Len is the number of live keys.
func (s *State) Len() int { return len(s.kvs) }

// TTL is what a lease was granted, in seconds; 0: there is no such lease.
func (s *State) TTL(lease int64) int64 { return s.leases[lease] }

// Leases are all that are granted, in order.
func (s *State) Leases() []int64 {
	ids := make([]int64, 0, len(s.leases))
	for id := range s.leases {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Attached are the keys that end with a lease, in order. A put attaches its key
// to its lease and to no other, so that the keys themselves say it.
func (s *State) Attached(lease int64) (keys []string) {
	for _, kv := range s.kvs {
		if kv.Lease == lease && lease != 0 {
			keys = append(keys, kv.Key)
		}
	}
	return keys
}

// Skip is the same store at a later revision: what others wrote in between is
// not followed.
func (s *State) Skip(revision int64) *State {
	next := *s
	next.Revision, next.Changes, next.before = revision, nil, s
	return &next
}

func span(kvs []*history.KV, key, end string) []*history.KV {
	at := func(k string) int {
		i, _ := slices.BinarySearchFunc(kvs, k, func(kv *history.KV, k string) int { return strings.Compare(kv.Key, k) })
		return i
	}
	from := at(key)
	switch {
	case end == "" && from < len(kvs) && kvs[from].Key == key:
		return kvs[from : from+1]
	case end == "":
		return nil
	case end == "\x00":
		return kvs[from:]
	}
	return kvs[from:max(from, at(end))]
}

func values(kvs []*history.KV) []history.KV {
	var out []history.KV
	for _, kv := range kvs {
		out = append(out, *kv)
	}
	return out
}

// Same says whether two states that came of one are equal, and their pasts too,
// which reads at older revisions can tell apart.
func Same(a, b *State) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Compacted != b.Compacted || len(a.leases) != len(b.leases) || !maps.Equal(a.leases, b.leases) {
		return false
	}
	for ; a != b; a, b = a.before, b.before {
		if a == nil || b == nil || a.Revision != b.Revision || !slices.EqualFunc(a.Changes, b.Changes, sameChange) {
			return false
		}
	}
	return true
}

func sameChange(a, b Change) bool { return a.Tombstone == b.Tombstone && a.KV == b.KV }

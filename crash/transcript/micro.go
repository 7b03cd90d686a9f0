package transcript

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// ran notes what a branch that ran wrote and read.
func (e *elle) ran(t *txn, branch []history.Request, results []history.Result) {
	for i := range branch {
		r := &branch[i]
		var res history.Result
		if i < len(results) {
			res = results[i]
		}
		for j := range res.KVs {
			e.learn(&res.KVs[j])
		}
		switch r.Verb {
		case history.Put:
			e.write(t, r)
		case history.Range:
			e.read(t, r, &res)
		case history.Txn:
			if r.Txn == nil {
				continue
			}
			then := r.Txn.Else
			if res.Succeeded {
				then = r.Txn.Then
			}
			e.ran(t, then, res.Results)
		}
	}
}

// maybe notes what an operation may have written: of both branches, as nobody
// can have read what the other would have written.
func (e *elle) maybe(t *txn, b *history.Branches) {
	for _, reqs := range [][]history.Request{b.Then, b.Else} {
		for i := range reqs {
			switch r := &reqs[i]; {
			case r.Verb == history.Put:
				e.write(t, r)
			case r.Verb == history.Txn && r.Txn != nil:
				e.maybe(t, r.Txn)
			}
		}
	}
}

// removes notes the keys that an operation may delete, or attach to a lease.
func (e *elle) removes(b *history.Branches) {
	for _, reqs := range [][]history.Request{b.Then, b.Else} {
		for i := range reqs {
			switch r := &reqs[i]; {
			case r.Verb == history.Delete && r.End == "":
				e.removed[r.Key] = true
			case r.Verb == history.Delete:
				e.swept[[2]string{r.Key, r.End}] = true
			case r.Verb == history.Put && r.Lease != 0:
				e.removed[r.Key] = true
			case r.Verb == history.Txn && r.Txn != nil:
				e.removes(r.Txn)
			}
		}
	}
}

func (e *elle) write(t *txn, r *history.Request) {
	v, ok := e.named(r.Value)
	if !ok {
		e.foreign[r.Key] = true
	}
	t.micro = append(t.micro, micro{write: true, key: e.intern(r.Key), value: v})
}

func (e *elle) read(t *txn, r *history.Request, res *history.Result) {
	switch {
	case r.Serializable || r.Revision != 0:
		e.skipped.stale++
		return
	case r.KeysOnly || r.CountOnly:
		e.skipped.valueless++
		return
	case r.End == "" && len(res.KVs) == 0:
		t.micro = append(t.micro, micro{key: e.intern(r.Key), value: "nil"})
	}
	for i := range res.KVs {
		kv := &res.KVs[i]
		v, ok := e.named(kv.Value)
		if !ok {
			e.foreign[kv.Key] = true
		}
		t.micro = append(t.micro, micro{key: e.intern(kv.Key), value: v})
	}
}

// learn notes which life of its key a value is of.
func (e *elle) learn(kv *history.KV) {
	if v, ok := e.named(kv.Value); ok && kv.CreateRevision > 0 {
		e.created[v] = kv.CreateRevision
	}
}

// mortal are the keys that may have been removed.
func (e *elle) mortal() map[string]bool {
	mortal := maps.Clone(e.removed)
	for key := range e.keys {
		for i := range e.swept {
			if key >= i[0] && (key < i[1] || i[1] == "\x00") {
				mortal[key] = true
				break
			}
		}
	}
	return mortal
}

// lives leaves of micro-operations those of registers.
func (e *elle) lives(all []micro, mortal map[string]bool) []micro {
	kept := all[:0]
	for _, m := range all {
		if e.foreign[m.key] {
			continue
		}
		if mortal[m.key] {
			life := e.created[m.value]
			if life == 0 {
				e.skipped.lifeless++
				continue
			}
			m.key = e.intern(fmt.Sprintf("%s@%d", m.key, life))
		}
		kept = append(kept, m)
	}
	return kept
}

// named is the number of a value that this run wrote.
func (e *elle) named(v string) (string, bool) {
	name, ok := history.ParseValue(v)
	if !ok || name.RunID != e.run.ID || name.N >= 256 {
		return "", false
	}
	return fmt.Sprint(name.Op<<8 | uint64(name.N)), true
}

func (e *elle) intern(key string) string {
	if known, ok := e.keys[key]; ok {
		return known
	}
	e.keys[key] = key
	return key
}

// value is a transaction's as EDN; what was read is known once it has returned.
func (e *elle) value(micro []micro, returned bool) string {
	var s strings.Builder
	for i, m := range micro {
		if i > 0 {
			s.WriteByte(' ')
		}
		f, v := "r", "nil"
		if m.write {
			f = "w"
		}
		if m.write || returned {
			v = m.value
		}
		fmt.Fprintf(&s, "[:%s %s %s]", f, edn(strings.TrimPrefix(m.key, e.run.Prefix)), v)
	}
	return "[" + s.String() + "]"
}

// edn is a string as EDN: JSON's escapes are among EDN's.
func edn(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // a string always has a form
	}
	return string(b)
}

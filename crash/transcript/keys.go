package transcript

import (
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// touches asks whether the key, or one of the interval to end, begins with want.
func (f *Filter) touches(key, end string) bool {
	for _, want := range []string{f.Key, f.run.Prefix + f.Key} {
		switch {
		case end == "" && strings.HasPrefix(key, want):
			return true
		case end == "\x00" && (key <= want || strings.HasPrefix(key, want)): // all from key on
			return true
		case end != "" && end != "\x00" && key < after(want) && want < end:
			return true
		}
	}
	return false
}

// after is the first string behind all that begin with s.
func after(s string) string {
	b := []byte(s)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1])
		}
	}
	return "\xff\xff\xff\xff"
}

func (f *Filter) opKey(o *history.Op) bool {
	if c := o.Call; c != nil {
		for _, key := range []string{c.Key, c.Name} {
			if key != "" && f.touches(key, c.End) {
				return true
			}
		}
		for _, key := range c.List {
			if f.touches(key, "") {
				return true
			}
		}
	}
	return f.branches(&history.Branches{Compares: o.Compares, Then: o.Then, Else: o.Else})
}

func (f *Filter) branches(b *history.Branches) bool {
	for i := range b.Compares {
		if f.touches(b.Compares[i].Key, b.Compares[i].End) {
			return true
		}
	}
	for _, reqs := range [][]history.Request{b.Then, b.Else} {
		for i := range reqs {
			r := &reqs[i]
			if r.Txn != nil && f.branches(r.Txn) || r.Txn == nil && f.touches(r.Key, r.End) {
				return true
			}
		}
	}
	return false
}

func (f *Filter) watchKey(w *history.WatchRecord) bool {
	if q := w.Request; q != nil && f.touches(q.Key, q.End) {
		return true
	}
	for i := range w.Events {
		if f.touches(w.Events[i].KV.Key, "") {
			return true
		}
	}
	return false
}

// nameOf is the name of the member with that ID; "" when none has it.
func nameOf(run *history.Run, id uint64) string {
	for i := range run.Members {
		if id != 0 && run.Members[i].ID == id {
			return run.Members[i].Name
		}
	}
	return ""
}

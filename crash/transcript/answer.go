package transcript

import (
	"fmt"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// answered tells what became of an operation.
func (w words) answered(o *history.Op) string {
	var s string
	switch o.Outcome {
	case history.OK:
		s = "ok"
	case history.Failed:
		s = "failed"
		if o.Denied {
			s = "denied"
		}
	default:
		s = "unknown"
	}
	if o.Error != "" {
		s += ": " + clip(o.Error)
	}
	if o.Outcome != history.OK {
		return s
	}
	if o.Revision != 0 {
		s += fmt.Sprintf(" rev %d", o.Revision)
	}
	branch := o.Then
	if o.Kind == history.KindTxn {
		branch = w.taken(&s, o.Succeeded, len(o.Compares) > 0, o.Then, o.Else)
	}
	if told := w.results(branch, o.Results); told != "" {
		s += " -> " + told
	}
	return s
}

// taken is the branch that ran; where there was a choice s says which.
func (w words) taken(s *string, held, choice bool, then, els []history.Request) []history.Request {
	if held {
		if choice {
			*s += " held"
		}
		return then
	}
	*s += " not held"
	return els
}

func (w words) results(reqs []history.Request, results []history.Result) string {
	var told []string
	for i := range results {
		var r *history.Request
		if i < len(reqs) {
			r = &reqs[i]
		}
		if one := w.result(r, &results[i]); one != "" {
			told = append(told, one)
		}
	}
	return strings.Join(told, "; ")
}

// result tells one answer; "" says no more than that there was one.
func (w words) result(r *history.Request, res *history.Result) string {
	if r != nil && r.Verb == history.Txn && r.Txn != nil {
		s := "txn"
		branch := w.taken(&s, res.Succeeded, len(r.Txn.Compares) > 0, r.Txn.Then, r.Txn.Else)
		if told := w.results(branch, res.Results); told != "" {
			s += " {" + told + "}"
		}
		return s
	}
	kv := func(kv history.KV) string {
		s := w.key(kv.Key)
		if kv.Value != "" {
			s += " = " + w.value(kv.Value)
		}
		return fmt.Sprintf("%s @%d", s, kv.ModRevision)
	}
	switch {
	case r != nil && r.Verb == history.Delete:
		s := fmt.Sprintf("%d deleted", res.Deleted)
		if len(res.KVs) > 0 {
			s += ", was " + list(res.KVs, kv)
		}
		return s
	case r != nil && r.Verb == history.Put:
		if len(res.KVs) > 0 {
			return "was " + list(res.KVs, kv)
		}
		return ""
	case r != nil && r.CountOnly:
		return fmt.Sprintf("%d keys", res.Count)
	case len(res.KVs) == 0:
		return "nothing"
	}
	s := list(res.KVs, kv)
	if res.More {
		s += fmt.Sprintf(", %d in all", res.Count)
	}
	return s
}

// watch tells one record of a watch.
func (w words) watch(r *history.WatchRecord) string {
	s := fmt.Sprintf("watch %d %s", r.Watch, r.Kind)
	if q := r.Request; q != nil {
		s += " " + w.interval(q.Key, q.End)
		if q.Start != 0 {
			s += fmt.Sprintf(" from %d", q.Start)
		}
		for _, with := range []struct {
			said bool
			what string
		}{
			{q.Prev, "prev"}, {q.Progress, "progress"}, {q.NoPut, "no puts"}, {q.NoDelete, "no deletes"},
			{q.Fragment, "fragments"}, {q.Recorder, "recorder"},
		} {
			if with.said {
				s += " " + with.what
			}
		}
	}
	if r.Revision != 0 {
		s += fmt.Sprintf(" rev %d", r.Revision)
	}
	if r.CompactRevision != 0 {
		s += fmt.Sprintf(" compacted %d", r.CompactRevision)
	}
	if r.Error != "" {
		s += ": " + clip(r.Error)
	}
	if len(r.Events) > 0 {
		s += " " + list(r.Events, w.watchEvent)
	}
	return s
}

func (w words) watchEvent(e history.WatchEvent) string {
	s := "put " + w.key(e.KV.Key)
	if e.Delete {
		s = "delete " + w.key(e.KV.Key)
	} else {
		s += " = " + w.value(e.KV.Value)
	}
	return fmt.Sprintf("%s @%d", s, e.KV.ModRevision)
}

// event tells what happened to a member or to the run.
func (w words) event(e *history.Event) string {
	s := oneLine(string(e.Kind))
	if e.Round > 0 {
		s += fmt.Sprintf(" (round %d)", e.Round)
	}
	if e.Message != "" {
		s += ": " + oneLine(e.Message)
	}
	if c := e.Cut; c != nil {
		s += fmt.Sprintf(" policy %s, %d writes not covered by a flush: %d dropped, %d torn, %d kept", oneLine(c.Policy), c.Uncovered, c.Dropped, c.Torn, c.Kept)
	}
	return s
}

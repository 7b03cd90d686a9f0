package rungen

import (
	"sort"

	"github.com/etcdlab/etcdlab/crash/history"
)

// watch is one that a client keeps open. The client library resumes it after its
// member was away, which the client does not see.
type watch struct {
	id     uint64
	client int32
	member int
	req    history.WatchRequest
	next   int64 // the first revision not delivered yet
	closed bool
	asked  bool // for a bookmark
	behind bool // its member was away while others compacted what it waits for
}

// watcher opens a watch now.
func (s *sim) watcher(client int32, member int, req history.WatchRequest) {
	if s.down || s.away[s.run.Meta.Members[member].Name] {
		s.after(10*ms, func() { s.watcher(client, member, req) })
		return
	}
	w := &watch{id: uint64(len(s.tapes) + 1), client: client, member: member, req: req, next: req.Start}
	s.tapes = append(s.tapes, w)
	s.watched(w, history.WatchRecord{Kind: history.WatchOpened, Request: &req})
	if w.next == 0 {
		w.next = s.s.Revision + 1
	}
	s.watched(w, history.WatchRecord{Kind: history.WatchCreated, Revision: s.s.Revision})
	if w.next < s.s.Compacted {
		s.canceled(w)
		return
	}
	s.pump(w)
}

// watched adds a record of a watch. One that the server sends names it.
func (s *sim) watched(w *watch, r history.WatchRecord) {
	m := &s.run.Meta.Members[w.member]
	r.Watch, r.Client, r.Member, r.Time = w.id, w.client, m.Name, s.now+s.skewOf(w.client)
	if r.Revision > 0 {
		r.MemberID = m.ID
	}
	s.run.Watches = append(s.run.Watches, r)
}

func (s *sim) canceled(w *watch) {
	w.closed = true
	at := s.s.Compacted
	s.watched(w, history.WatchRecord{
		Kind: history.WatchCanceled, Revision: s.s.Revision, CompactRevision: at,
		Error: "etcdserver: mvcc: required revision has been compacted",
	})
	if w.req.Recorder {
		req := w.req
		req.Start = at
		s.after(ms, func() { s.watcher(w.client, w.member, req) })
	}
}

// pump delivers from time to time.
func (s *sim) pump(w *watch) {
	s.after(1+s.r.Int64N(8*ms), func() {
		switch {
		case w.closed || s.active == 0: // what is left comes at the end
			return
		case s.away[s.run.Meta.Members[w.member].Name]:
			// It resumes where it was, which may be compacted by then.
			if w.next < s.s.Compacted {
				w.behind = true
				s.after(40*ms, func() { s.resume(w) })
				return
			}
		case !s.down:
			s.deliver(w, s.s.Revision-s.r.Int64N(4))
			s.bookmark(w)
		}
		s.pump(w)
	})
}

func (s *sim) resume(w *watch) {
	switch {
	case w.closed || s.active == 0:
	case s.down || s.away[s.run.Meta.Members[w.member].Name]:
		s.after(10*ms, func() { s.resume(w) })
	case w.next < s.s.Compacted:
		s.canceled(w)
	default:
		s.pump(w)
	}
}

// bookmark says now and then up to where everything was sent.
func (s *sim) bookmark(w *watch) {
	if !w.asked && s.r.IntN(30) == 0 {
		w.asked = true
		s.watched(w, history.WatchRecord{Kind: history.WatchAsked})
	}
	if w.next-1 != s.s.Revision || !w.asked && (!w.req.Progress || s.r.IntN(4) > 0) {
		return
	}
	w.asked = false
	s.watched(w, history.WatchRecord{Kind: history.WatchProgress, Revision: s.s.Revision})
}

// deliver sends what a watch has not had yet of the revisions up to one.
func (s *sim) deliver(w *watch, upTo int64) {
	told := s.s.told
	i := sort.Search(len(told), func(i int) bool { return told[i].Main >= w.next })
	var events []history.WatchEvent
	for ; i < len(told) && told[i].Main <= upTo; i++ {
		r := &told[i]
		if w.req.End == "" && r.KV.Key != w.req.Key || w.req.End != "" && (r.KV.Key < w.req.Key || w.req.End != "\x00" && r.KV.Key >= w.req.End) ||
			r.Tombstone && w.req.NoDelete || !r.Tombstone && w.req.NoPut {
			continue
		}
		e := history.WatchEvent{Delete: r.Tombstone, KV: r.KV}
		if r.Tombstone {
			e.KV = history.KV{Key: r.KV.Key, ModRevision: r.Main}
		}
		// etcd looks for it when it sends, and does not find what is compacted.
		if w.req.Prev && r.Prev != nil && r.Main-1 >= s.s.Compacted {
			prev := *r.Prev
			e.Prev = &prev
		}
		events = append(events, e)
	}
	w.next = max(w.next, upTo+1)
	if len(events) > 0 {
		s.watched(w, history.WatchRecord{Kind: history.WatchEvents, Revision: s.s.Revision, Events: events})
	}
}

// watchers are the recorders and the users'.
func (s *sim) watchers() {
	if !s.o.recorded() {
		return
	}
	for m := range s.o.Members {
		s.watcher(int32(1000+m), m, history.WatchRequest{
			Key: "\x00", End: "\x00", Start: s.run.Meta.Base.Revision + 1, Prev: true, Progress: true, Recorder: true,
		})
	}
	for n := range s.o.Watches {
		var open func()
		open = func() {
			req := history.WatchRequest{
				Prev: s.r.IntN(2) == 0, Progress: s.r.IntN(2) == 0, NoPut: s.r.IntN(6) == 0, NoDelete: s.r.IntN(6) == 0, Fragment: s.r.IntN(4) == 0,
			}
			req.Key, req.End = s.keyRange()
			if s.r.IntN(2) == 0 {
				req.Start = max(1, s.s.Revision-30+s.r.Int64N(50))
			}
			s.watcher(int32(100+n), s.r.IntN(s.o.Members), req)
			w := s.tapes[len(s.tapes)-1]
			s.after(s.r.Int64N(200*ms)+ms, func() {
				if s.active == 0 {
					return
				}
				if !w.closed {
					w.closed = true
					s.watched(w, history.WatchRecord{Kind: history.WatchClosed})
				}
				s.after(s.r.Int64N(20*ms), open)
			})
		}
		s.after(s.r.Int64N(10*ms)+1, open)
	}
}

// drain ends all watches with everything delivered to those that wait for it.
func (s *sim) drain() {
	for _, w := range s.tapes {
		if w.closed {
			continue
		}
		if w.req.Recorder || s.r.IntN(2) == 0 {
			if w.behind {
				s.canceled(w)
				continue
			}
			s.deliver(w, s.s.Revision)
			s.now += 1000
			if w.req.Progress && w.next == s.s.Revision+1 {
				s.watched(w, history.WatchRecord{Kind: history.WatchProgress, Revision: s.s.Revision})
			}
		}
		s.watched(w, history.WatchRecord{Kind: history.WatchClosed})
	}
}

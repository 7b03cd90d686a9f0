package rungen

import "github.com/etcdlab/etcdlab/crash/history"

// lags are how far the members have come, by name, as their answers tell: a
// member may be behind the others, but never behind itself.
type lags map[string]int64

// lag is the revision that the member asked is at, if it may be at rev: other is
// the one that answers where none was asked by name.
func (s *sim) lag(op *history.Op, other string, rev int64) int64 {
	if op.Member != "" {
		other = op.Member
	}
	if s.lags == nil {
		s.lags = make(lags)
	}
	s.lags[other] = max(s.lags[other], s.run.Meta.Base.Revision, rev)
	return s.lags[other]
}

// Elect makes a new term, with its leader's first entry in the log of every
// member, applied.
func (r *Run) Elect() (term uint64) {
	r.term++
	r.entries = append(r.entries, Entry{Term: r.term, Index: r.lastIndex() + 1})
	for _, m := range r.Members {
		m.Entries = r.entries
		m.Commit, m.ConsistentIndex = r.lastIndex(), m.ConsistentIndex+1
	}
	return r.term
}

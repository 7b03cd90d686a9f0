package fsck

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// member is a data directory that was read.
type member struct {
	dir    string
	store  *store          // nil: its db could not be walked
	log    *raftLog        // nil: its log could not be read
	shared *datadir.Shared // nil: bbolt could not read it
	whole  bool            // nothing of its key bucket is lost
}

// comparable is the consistent index up to which the buckets other than the key
// bucket are what the log made them; 0 before v3.5, where it lags behind them.
func (m *member) comparable() uint64 {
	if m.store == nil || m.store.term == 0 {
		return 0
	}
	return m.store.index
}

// comparison compares members at the same revision, index or entry. What differs
// is told of the first member's files, with who else has what.
type comparison struct {
	members []*member
	report  func(datadir.Problem)
	doubt   func(format string, args ...any)
	note    func(format string, args ...any)
}

func (c *comparison) run() {
	for _, m := range c.members {
		if !m.whole {
			c.doubt("%s is damaged in ways that keep its keys from being compared", m.dir)
			return
		}
	}
	c.keys()
	c.entries()
	c.buckets()
}

// odd says who differs from whom, by what each has; "" if nobody does.
func (c *comparison) odd(has []uint64) (text string) {
	votes := make(map[uint64][]string)
	for i, h := range has {
		votes[h] = append(votes[h], c.members[i].dir)
	}
	if len(votes) == 1 {
		return ""
	}
	if len(c.members) == 2 {
		return "these two members differ there"
	}
	groups := slices.Collect(maps.Values(votes))
	sort.Slice(groups, func(i, j int) bool {
		return len(groups[i]) > len(groups[j]) || len(groups[i]) == len(groups[j]) && groups[i][0] < groups[j][0]
	})
	if len(groups[0]) == len(groups[1]) {
		return "the members are of equal parts: " + join(groups)
	}
	return strings.Join(slices.Concat(groups[1:]...), " and ") + " is the odd one out: " + strings.Join(groups[0], " and ") + " agree"
}

func join(groups [][]string) string {
	parts := make([]string, len(groups))
	for i, g := range groups {
		parts[i] = strings.Join(g, " with ")
	}
	return strings.Join(parts, " against ")
}

// keys compares the key buckets, above all compactions and up to the newest
// revision that all have; from the begin where all were compacted alike.
func (c *comparison) keys() {
	first := c.members[0].store
	from, upTo, alike := int64(0), first.revision(), true
	for _, m := range c.members {
		s := m.store
		from, upTo = max(from, s.compacted()), min(upTo, s.revision())
		alike = alike && s.sched == first.sched && s.fin == first.fin && s.sched == s.fin
	}
	at := make([]int, len(c.members))
	if !alike {
		for i, m := range c.members {
			r := m.store.records
			at[i] = sort.Search(len(r), func(n int) bool { return r[n].main > from })
		}
	}
	if upTo <= from {
		c.doubt("no revision above %d is in all of the directories: their keys cannot be compared", from)
		return
	}
	for told := 0; told <= maxEach; {
		main := upTo + 1
		for i, m := range c.members {
			if r := m.store.records; at[i] < len(r) {
				main = min(main, r[at[i]].main)
			}
		}
		if main > upTo {
			return
		}
		has := make([]uint64, len(c.members))
		groups := make([][]record, len(c.members))
		for i, m := range c.members {
			groups[i] = m.store.take(&at[i], main, from)
			has[i] = digest(groups[i])
		}
		if text := c.odd(has); text != "" {
			c.revision(main, groups, text)
			told++
		}
	}
}

// take gives the records of a revision and goes on behind them. What a compaction
// leaves of deletions at its own revision is not the same in all versions.
func (s *store) take(at *int, main, compacted int64) []record {
	from := *at
	for *at < len(s.records) && s.records[*at].main == main {
		*at++
	}
	group := s.records[from:*at]
	if main <= compacted {
		group = slices.DeleteFunc(slices.Clone(group), func(r record) bool { return r.tombstone })
	}
	return group
}

func digest(group []record) (sum uint64) {
	for i := range group {
		sum = sum*0x9e3779b97f4a7c15 + group[i].digest + uint64(group[i].sub)
		if group[i].tombstone {
			sum++
		}
	}
	return sum
}

func (c *comparison) revision(main int64, groups [][]record, text string) {
	var parts []string
	p := datadir.Problem{File: dbFile, Kind: "against"}
	for i, g := range groups {
		what := "nothing"
		if len(g) > 0 {
			what = fmt.Sprintf("%s (page %d, byte %d)", c.members[i].store.describe(g), g[0].page, g[0].off)
			if p.Page == nil && i == 0 {
				p.Page, p.Offset = &g[0].page, &g[0].off
			}
		}
		parts = append(parts, fmt.Sprintf("%s holds %s", c.members[i].dir, what))
	}
	p.Message = fmt.Sprintf("revision %d differs: %s; %s", main, strings.Join(parts, ", "), text)
	c.report(p)
}

// entries compares the logs: two entries of one index and term are one entry,
// and what both members committed is of one term.
func (c *comparison) entries() {
	told := 0
	a := c.members[0]
	for _, b := range c.members[1:] {
		if a.log == nil || b.log == nil {
			continue
		}
		commit := min(max(a.log.report.WAL.Commit, a.store.index), max(b.log.report.WAL.Commit, b.store.index))
		x, y := a.log.entries, b.log.entries
		for i, j := 0, 0; i < len(x) && j < len(y) && told <= maxEach; {
			switch e, f := &x[i], &y[j]; {
			case e.index < f.index:
				i++
			case e.index > f.index:
				j++
			default:
				why := ""
				if e.term == f.term && (e.digest != f.digest || e.kind != f.kind) {
					why = "they are of one term and hold different requests"
				} else if e.term != f.term && e.index <= commit {
					why = fmt.Sprintf("both are committed, in the terms %d and %d", e.term, f.term)
				}
				if why != "" {
					told++
					c.report(datadir.Problem{
						File: a.log.files[e.file], Kind: "against", Offset: &e.off,
						Message: fmt.Sprintf("%s differs from that of %s (%s, byte %d): %s", a.log.where(e), b.dir, b.log.files[f.file], f.off, why),
					})
				}
				i, j = i+1, j+1
			}
		}
	}
}

// buckets compares what else raft replicates: between members that have applied
// the same entries, and users and roles at the same auth revision.
func (c *comparison) buckets() {
	same := true
	index := c.members[0].comparable()
	for _, m := range c.members {
		if m.shared == nil {
			c.doubt("the buckets of %s other than the keys could not be read", m.dir)
			return
		}
		same = same && index > 0 && m.comparable() == index
	}
	differ := func(what string, of func(*datadir.Shared) string) {
		has := make([]uint64, len(c.members))
		parts := make([]string, len(c.members))
		for i, m := range c.members {
			text := of(m.shared)
			has[i] = datadir.Hash(text)
			parts[i] = m.dir + " has " + text[:min(len(text), 200)]
		}
		if text := c.odd(has); text != "" {
			c.report(datadir.Problem{File: dbFile, Kind: "against", Message: fmt.Sprintf("the %s differ: %s; %s", what, strings.Join(parts, ", "), text)})
		}
	}
	if same {
		differ("leases", func(s *datadir.Shared) string {
			return fmt.Sprintf("%d leases with the digest %016x", s.LeaseCount, s.LeaseDigest)
		})
		differ("alarms", func(s *datadir.Shared) string { return fmt.Sprintf("%+v", s.Alarms) })
		differ("members", func(s *datadir.Shared) string {
			var b strings.Builder
			for _, p := range s.Members {
				fmt.Fprintf(&b, "%x %v learner=%v ", p.ID, p.PeerURLs, p.Learner)
			}
			return fmt.Sprintf("%sand %d removed %x", b.String(), len(s.Removed), s.Removed)
		})
	} else {
		c.note("leases, alarms and members are compared at an equal consistent index only, which these directories do not have")
	}
	revision := c.members[0].shared.Auth.Revision
	same = true
	for _, m := range c.members {
		same = same && m.shared.Auth.Revision == revision
	}
	if same {
		differ("users and roles", func(s *datadir.Shared) string {
			return fmt.Sprintf("auth enabled=%v at revision %d with users %v and roles %v", s.Auth.Enabled, s.Auth.Revision, s.Auth.Users, s.Auth.Roles)
		})
	}
}

package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// member is one member of the run with what its disk holds.
type member struct {
	name    string
	meta    *history.Member
	final   *history.FinalMember // nil: final.json does not know it
	store   *datadir.Store       // nil: nothing could be read
	twin    *member              // an earlier member whose records are the same, to the byte
	damaged string               // why the db cannot be read whole; the disk check's failure
	missing string               // why there are no data
	err     error                // the reading itself failed

	// Writes in the log beyond what the db shows.
	pendingOps     map[uint64]bool // by the operation that the value names
	pendingDeletes []datadir.Write
}

// version is the release that wrote the member's data last.
func (c *evidence) version(m *member) string {
	if m.final != nil && m.final.Version != "" {
		return m.final.Version
	}
	return c.run.Etcd
}

// serving says that the member answered a linearizable read at the end.
func (m *member) serving() bool { return m.final != nil && m.final.Serving }

// readable says that the whole db was read.
func (m *member) readable() bool {
	return m.store != nil && m.damaged == "" && m.missing == "" && m.err == nil
}

// ruined says that what the cut left of the member's disk is of no use to its
// etcd: the file system does not mount, or the db is damaged and etcd did not
// serve from it. What was only there is lost; the log may still tell of writes.
func (m *member) ruined() bool {
	return m.final != nil && !m.final.Serving && m.err == nil && (m.final.Data == history.DataUnmountable || m.damaged != "")
}

func (m *member) revision() int64  { return m.store.Report.DB.Revision }
func (m *member) compacted() int64 { return m.store.Report.DB.Compacted() }

// group gives the records of one revision and where they begin.
func (m *member) group(main int64) []datadir.Revision {
	revs := m.store.Revisions
	i := sort.Search(len(revs), func(i int) bool { return revs[i].Main >= main })
	j := i
	for j < len(revs) && revs[j].Main == main {
		j++
	}
	return revs[i:j]
}

// childrenAtOnce bounds memory as much as the machine: each child holds a WAL
// segment and maps a db.
func childrenAtOnce() int { return min(2, runtime.GOMAXPROCS(0)) }

// inspect reads all members' data directories.
func inspect(ctx context.Context, dir history.Dir, run *history.Run, final *history.Final, o Options) ([]*member, error) {
	members := make([]*member, len(run.Members))
	var group errgroup.Group
	var mu sync.Mutex
	var read []*member
	group.SetLimit(childrenAtOnce())
	for i := range run.Members {
		m := &member{name: run.Members[i].Name, meta: &run.Members[i]}
		members[i] = m
		if !filepath.IsLocal(m.name) || filepath.Base(m.name) != m.name {
			return nil, fmt.Errorf("run.json names the member %q, which is no name", m.name)
		}
		if final != nil {
			for j := range final.Members {
				if final.Members[j].Name == m.name {
					m.final = &final.Members[j]
				}
			}
		}
		group.Go(func() error {
			m.inspect(ctx, dir, run, o)
			mu.Lock()
			defer mu.Unlock()
			m.share(read)
			read = append(read, m)
			return nil
		})
	}
	_ = group.Wait()
	return members, ctx.Err()
}

func (m *member) inspect(ctx context.Context, dir history.Dir, run *history.Run, o Options) {
	data := dir.Data(m.name)
	if !datadir.Exists(data) || m.final != nil && m.final.Data == "" && m.final.DataError != "" {
		m.missing = "there is no whole copy of its data directory"
		if m.final != nil && m.final.DataError != "" {
			m.missing += ": " + m.final.DataError
		}
		return
	}
	if m.final != nil {
		if err := history.CheckSizes(dir.Path(history.DirMembers, m.name), m.final.Files); err != nil {
			m.missing = "its files are not as the run left them: " + bare(err).Error()
			return
		}
	}
	q := datadir.Query{Dir: data, Prefix: run.Prefix, RunID: run.ID}
	if m.final != nil {
		q.HashRevision = m.final.HashRevision
	}
	store, err := datadir.Inspect(ctx, o.Exe, q)
	var crash *datadir.CrashError
	switch {
	case errors.As(err, &crash):
		m.store, m.damaged = store, crash.Error()
	case err != nil:
		m.err = errors.New(strings.ReplaceAll(err.Error(), data, filepath.Join(history.DirMembers, m.name, "data")))
	default:
		m.store, m.damaged = store, store.Report.DB.Error
	}
}

// share gives up the member's records where another member has the same: on a
// healthy cluster all have, and there is memory for one copy.
func (m *member) share(others []*member) {
	if m.store == nil || len(m.store.Revisions) == 0 {
		return
	}
	for _, o := range others {
		if o.store == nil || o.twin != nil || !slices.Equal(m.store.Keys, o.store.Keys) || !slices.Equal(m.store.Revisions, o.store.Revisions) {
			continue
		}
		m.twin, m.store.Keys, m.store.Revisions = o, o.store.Keys, o.store.Revisions
		return
	}
}

// twins says whether two members' records were seen to be the same.
func twins(a, b *member) bool {
	root := func(m *member) *member {
		if m.twin != nil {
			return m.twin
		}
		return m
	}
	return root(a) == root(b)
}

// number gives the store's records the numbers that their keys have in the run's
// table. It is not part of inspect: there is one table.
func (m *member) number(keys *keyTable) {
	if m.store == nil {
		return
	}
	numbers := make([]uint32, len(m.store.Keys))
	for i, k := range m.store.Keys {
		numbers[i] = keys.id(k)
	}
	for i := range m.store.Revisions {
		if m.twin != nil {
			break // done
		}
		r := &m.store.Revisions[i]
		r.Key = numbers[r.Key]
	}
	m.pendingOps = make(map[uint64]bool)
	for _, w := range m.store.Writes {
		switch {
		case w.Pending && w.Named:
			m.pendingOps[w.Op] = true
		case w.Pending && w.Delete:
			m.pendingDeletes = append(m.pendingDeletes, w)
		}
	}
}

// quorum is the number of members that makes a majority of n.
func quorum(n int) int { return n/2 + 1 }

// cluster is the members seen together.
type cluster struct {
	members   []*member
	recovered bool    // a majority serves
	ref       *member // the store that is replayed; nil: none can be
	readable  int
}

// newCluster picks the store to replay: of a recovered cluster what it serves,
// otherwise what its disks hold. The newest counts; of those that differ at one
// revision the one that most agree with, so that evidence names the odd one.
func newCluster(members []*member) *cluster {
	c := &cluster{members: members}
	serving := 0
	for _, m := range members {
		if m.serving() {
			serving++
		}
		if m.readable() {
			c.readable++
		}
	}
	c.recovered = serving >= quorum(len(members))
	votes := 0
	for _, m := range members {
		if !m.readable() || c.recovered && !m.serving() {
			continue
		}
		n := 0
		for _, o := range members {
			if o != m && o.readable() && o.revision() == m.revision() && firstDifference(m, o, m.revision()) == nil {
				n++
			}
		}
		if c.ref == nil || m.revision() > c.ref.revision() || m.revision() == c.ref.revision() && n > votes {
			c.ref, votes = m, n
		}
	}
	if c.ref == nil && !slices.ContainsFunc(members, func(m *member) bool { return !m.ruined() }) {
		// Every disk was looked at and is of no use: the store is empty.
		c.ref = &member{name: "any member", store: &datadir.Store{}}
	}
	return c
}

// difference is a revision at which two members' key buckets differ.
type difference struct {
	main int64
	a, b []datadir.Revision
}

// firstDifference compares the records above both compactions up to a revision.
func firstDifference(a, b *member, upTo int64) (d *difference) {
	eachDifference(a, b, upTo, func(x difference) bool { d = &x; return false })
	return d
}

// eachDifference calls f with every revision that differs until f says stop.
func eachDifference(a, b *member, upTo int64, f func(difference) bool) {
	if twins(a, b) {
		return
	}
	from := max(a.compacted(), b.compacted())
	x, y := a.store.Revisions, b.store.Revisions
	i := sort.Search(len(x), func(i int) bool { return x[i].Main > from })
	j := sort.Search(len(y), func(j int) bool { return y[j].Main > from })
	for i < len(x) || j < len(y) {
		main := int64(1<<63 - 1)
		if i < len(x) {
			main = x[i].Main
		}
		if j < len(y) {
			main = min(main, y[j].Main)
		}
		if main > upTo {
			return
		}
		i0, j0, same := i, j, true
		for i < len(x) && x[i].Main == main {
			i++
		}
		for j < len(y) && y[j].Main == main {
			j++
		}
		same = i-i0 == j-j0
		for n := 0; same && n < i-i0; n++ {
			same = x[i0+n].Digest == y[j0+n].Digest
		}
		if !same && !f(difference{main, x[i0:i], y[j0:j]}) {
			return
		}
	}
}

// Package fsck owns the checks of a data directory that need nothing but its
// files: the structure of every page of the db, its records against one another
// and against the log, the log's chain of CRCs, and the snapshot files. It only
// reads, and maps nothing in this process.
package fsck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// Options say what to check.
type Options struct {
	Dir     string   // of an etcd; see Resolve
	Against []string // of other members of its cluster
	Exe     []string // command of the child that bbolt runs in; see datadir.Inspect
}

// Check reads the directories. Damage is in the result; the error is about the
// reading: *UsageError, *BusyError or of the system.
func Check(ctx context.Context, o Options) (*Result, error) {
	dir, err := Resolve(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &checker{exe: o.Exe, res: &Result{Dir: o.Dir, Against: o.Against, Problems: []datadir.Problem{}}}
	var others []string
	for _, a := range o.Against {
		other, err := Resolve(a)
		if err != nil {
			return nil, err
		}
		if other == dir || slices.Contains(others, other) {
			return nil, &UsageError{a + " is named twice; compare different members"}
		}
		others = append(others, other)
	}
	first, err := c.member(ctx, dir)
	if err != nil {
		return nil, err
	}
	first.dir = o.Dir
	members := []*member{first}
	for i, other := range others {
		m, err := c.other(ctx, other, o.Against[i])
		if err != nil {
			return nil, err
		}
		if ours, its := first.log.report.WAL.Cluster, m.log.report.WAL.Cluster; ours != its && ours != 0 && its != 0 {
			return nil, &UsageError{fmt.Sprintf("%s is of the cluster %x and %s of the cluster %x: name members of one cluster", o.Dir, ours, o.Against[i], its)}
		}
		members = append(members, m)
	}
	if len(members) > 1 {
		(&comparison{members: members, report: c.report, doubt: c.doubt, note: c.note}).run()
	}
	c.settle(first)
	return c.res, nil
}

// checker checks one directory into a result.
type checker struct {
	exe  []string
	res  *Result
	more map[string]int // by kind: problems beyond maxEach
}

func (c *checker) report(p datadir.Problem) {
	n := 0
	for i := range c.res.Problems {
		if c.res.Problems[i].Kind == p.Kind {
			n++
		}
	}
	if n < maxEach {
		c.res.Problems = append(c.res.Problems, p)
		return
	}
	if c.more == nil {
		c.more = make(map[string]int)
	}
	c.more[p.Kind]++
}

func (c *checker) doubt(format string, args ...any) {
	c.res.Doubts = append(c.res.Doubts, fmt.Sprintf(format, args...))
}

func (c *checker) note(format string, args ...any) {
	c.res.Notes = append(c.res.Notes, fmt.Sprintf(format, args...))
}

// other reads a directory to compare with. Its own damage is not this one's.
func (c *checker) other(ctx context.Context, dir, name string) (*member, error) {
	o := &checker{exe: c.exe, res: &Result{}}
	m, err := o.member(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m.dir = name
	if n := len(o.res.Problems); n > 0 {
		c.note("%s has %d problems of its own; check it too", name, n)
	}
	return m, nil
}

// member checks a directory for itself.
func (c *checker) member(ctx context.Context, dir string) (*member, error) {
	m := &member{dir: dir}
	file, err := openDB(ctx, dir)
	if err != nil {
		return nil, err
	}
	if file != nil {
		defer file.Close()
		if err := c.db(ctx, m, dir, file); err != nil {
			return nil, err
		}
	} else {
		c.report(datadir.Problem{File: dbFile, Kind: "missing", Message: "there is no db file"})
	}
	if m.log, err = readLog(dir); err != nil {
		return nil, err
	}
	for _, p := range m.log.report.Problems {
		c.report(p)
	}
	c.tail(&m.log.report.WAL)
	if m.whole {
		c.tie(m)
	}
	c.agree(m)
	return m, ctx.Err()
}

// db walks the pages, and asks bbolt for a second opinion.
func (c *checker) db(ctx context.Context, m *member, dir string, file *os.File) error {
	s := newStore()
	s.problem = func(kind string, page uint64, off int64, format string, args ...any) {
		c.report(datadir.Problem{File: dbFile, Kind: kind, Page: &page, Offset: &off, Message: fmt.Sprintf(format, args...)})
	}
	w := &walker{name: dbFile, visit: s.visit}
	w.found = func(p datadir.Problem) {
		s.hole()
		c.report(p)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	ok, err := w.walk(file, info.Size())
	if err != nil {
		return fmt.Errorf("read %s: %w", dbFile, err)
	}
	c.res.Facts.DBSize, c.res.Facts.LiveBytes = w.f.size, w.live()
	if ok {
		m.store = s
		m.whole = !w.lost[""] && !w.lost["key"] && !w.lost["meta"] && s.bad == 0
	}
	before := len(c.res.Problems)
	if ok && len(w.lost) == 0 {
		c.buckets(w.names, s)
	}
	return c.second(ctx, m, dir, before == 0 && len(c.res.Problems) == 0)
}

// second is bbolt's own opinion, from a child process: a fault in the mapping of
// a damaged file ends it. What this package found is not told twice.
func (c *checker) second(ctx context.Context, m *member, dir string, clean bool) error {
	read, err := datadir.Inspect(ctx, c.exe, datadir.Query{Dir: dir, OnlyDB: true})
	var crash *datadir.CrashError
	switch {
	case errors.As(err, &crash):
		if clean {
			c.report(datadir.Problem{File: dbFile, Kind: "bbolt", Message: crash.Error()})
		}
		c.note("bbolt cannot read the db: %s", crash.Message)
		return nil
	case err != nil:
		return err
	}
	if read.Report.DB.Error == "" {
		m.shared = &read.Report.Shared
		c.res.Facts.Version = read.Report.Shared.ClusterVersion
	}
	if clean {
		for _, p := range read.Report.Problems {
			p.Kind = "bbolt"
			c.report(p)
		}
	}
	return nil
}

// etcd's buckets since v3.4, in order.
var standard = []string{"alarm", "auth", "authRoles", "authUsers", "cluster", "key", "lease", "members", "members_removed", "meta"}

// buckets checks their names. One that is missing from a young directory may
// not have been made yet; one that took its place is a name that was changed.
func (c *checker) buckets(names []string, s *store) {
	var missing, unknown []string
	for _, n := range standard {
		if !slices.Contains(names, n) {
			missing = append(missing, n)
		}
	}
	for _, n := range names {
		if !slices.Contains(standard, n) {
			unknown = append(unknown, n)
		}
	}
	switch {
	case len(missing) > 0 && len(unknown) > 0:
		c.report(datadir.Problem{File: dbFile, Kind: "bucket", Message: fmt.Sprintf("the db has the buckets %q, which etcd does not know, and lacks %q", unknown, missing)})
	case len(missing) > 0 && (s.index > 0 || len(s.records) > 0):
		c.report(datadir.Problem{File: dbFile, Kind: "bucket", Message: fmt.Sprintf("the db lacks the buckets %q", missing)})
	}
}

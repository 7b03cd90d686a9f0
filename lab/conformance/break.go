package conformance

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

func (s *subject) pauser() {
	m := s.lab.Members[0]
	p := can[lab.Pauser](s, m)
	c := s.client(m)
	s.mustPut(c, "pauser", "before")
	f, err := p.Freeze(s.ctx, min(time.Minute, s.slow(30*time.Second)))
	if errors.As(err, new(*lab.UnsupportedError)) {
		s.skip(err)
	}
	s.must(err)
	if !f.Observed || f.Freezer == "" {
		s.Errorf("freeze: %+v", f)
	}
	if i := s.info(m); i.State != lab.StateFrozen {
		s.Errorf("frozen: %+v", i)
	}
	if err := s.put(c, "pauser", "frozen"); err == nil {
		s.Error("a frozen member acknowledged a put")
	}
	s.mustPut(s.client(s.lab.Members[1]), "others", "serve")
	s.must(p.Thaw(s.ctx))
	s.wantAll("others", "serve")
	if i := s.info(m); i.State != lab.StateRunning {
		s.Errorf("thawed: %+v", i)
	}
}

func (s *subject) linker() {
	m := s.lab.Members[0]
	l := can[lab.Linker](s, m)
	c := s.client(m)
	s.mustPut(c, "linker", "before")
	s.must(l.SetLink(s.ctx, false))
	s.mustPut(s.client(s.lab.Members[1]), "linker", "without it")
	// A key of its own: what it proposed may yet be agreed on.
	if err := s.put(c, "linker-away", "from nowhere"); err == nil {
		s.Error("a member without a link acknowledged a put")
	}
	s.must(l.SetLink(s.ctx, true))
	s.wantAll("linker", "without it")
	if i := s.info(m); i.State != lab.StateRunning {
		s.Errorf("with its link again: %+v", i)
	}
}

func (s *subject) archiver() {
	m := s.lab.Members[2]
	a := can[lab.Archiver](s, m)
	look := func(wantHow string) {
		s.Helper()
		var b bytes.Buffer
		how, err := a.Archive(s.ctx, &b)
		s.must(err)
		found := map[string]bool{}
		for r := tar.NewReader(&b); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			s.must(err)
			for _, part := range []string{"member/wal/", "member/snap/db"} {
				found[part] = found[part] || strings.HasPrefix(h.Name, part) && h.Size > 0
			}
		}
		if how != wantHow || !found["member/wal/"] || !found["member/snap/db"] {
			s.Errorf("archive while %s: how %q, found %v", wantHow, how, found)
		}
	}
	if _, err := lab.Can[lab.Pauser](m); err == nil {
		look("frozen")
	}
	r := can[lab.Runner](s, m)
	s.must(r.Stop(s.ctx))
	look("stopped")
	s.must(r.Start(s.ctx))
	s.wantAll("life", "1")
}

func (s *subject) diskFaulter() {
	m := s.lab.Members[0]
	d := can[lab.DiskFaulter](s, m)
	before, err := d.DiskStats(s.ctx)
	s.must(err)
	faults := []disk.Fault{{Op: disk.OpFlush, Count: 1}}
	if s.Disk.Kind == "dm" {
		faults = []disk.Fault{{Op: disk.OpWrite}} // dm-flakey knows no flushes
	}
	s.must(d.SetDiskFaults(s.ctx, faults))
	stop := s.writes(s.client(s.lab.Members[1]), "disk")
	s.until("the fault to be hit", func() bool {
		states, err := d.DiskFaults(s.ctx)
		s.must(err)
		return len(states) == 1 && states[0].Hit > 0 || s.info(m).State == lab.StateStopped
	})
	s.until("etcd to end, as it must when an fsync of its WAL fails", func() bool { return s.info(m).State == lab.StateStopped })
	stop()
	s.must(d.SetDiskFaults(s.ctx, nil))
	after, err := d.DiskStats(s.ctx)
	s.must(err)
	if after.Writes <= before.Writes {
		s.Errorf("stats: %+v, then %+v", before, after)
	}
	// A file system that met an error is mounted again.
	p := can[lab.PowerCutter](s, m)
	_, err = p.Cut(s.ctx)
	s.must(err)
	policy := disk.Keep
	if s.Disk.Kind == "dm" {
		policy = disk.Drop
	}
	_, err = p.Restore(s.ctx, policy, 1)
	s.must(err)
	s.must(can[lab.Runner](s, m).Start(s.ctx))
	s.wantAll("life", "1")
}

func (s *subject) hostCrasher() {
	m := s.lab.Members[1]
	h := can[lab.HostCrasher](s, m)
	s.heal()
	for _, how := range lab.HostCrashes {
		key := "host-" + string(how)
		s.mustPut(s.client(s.lab.Members[0]), key, "flushed")
		begun := time.Now()
		s.must(h.CrashHost(s.ctx, how))
		if i := s.info(m); i.State == lab.StateRunning {
			s.Errorf("%s: %+v", how, i)
		}
		s.must(h.Boot(s.ctx))
		s.must(can[lab.Runner](s, m).Start(s.ctx))
		s.wantAll(key, "flushed")
		s.Logf("%s, boot and recovery took %v", how, time.Since(begun).Round(time.Millisecond))
	}
}

// heal makes the lab anew after a test that broke it for good.
func (s *subject) heal() {
	s.Helper()
	s.must(s.Provider.Down(s.ctx, s.spec.Name))
	l, err := s.Provider.Up(s.ctx, s.spec, s.images)
	s.must(err)
	s.lab.Members = l.Members
}

func (s *subject) console() {
	c := can[lab.Console](s, s.lab.Members[0])
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(s.ctx, s.slow(30*time.Second))
	defer cancel()
	s.must(c.Console(ctx, nil, &out, false))
	if out.Len() == 0 {
		s.Error("the machine has printed nothing")
	}
}

func atoi(v string) int {
	var n int
	_, _ = fmt.Sscan(v, &n)
	return n
}

package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// powerLoss cuts the power of every member under writes to key, and gives it
// back; it returns the last value that was acknowledged.
func (s *subject) powerLoss(key string, policy disk.Policy, seed uint64) (last int, cuts []disk.CutRecord) {
	s.Helper()
	stop := s.writes(s.client(s.lab.Members[0]), key)
	s.until("writes", func() bool {
		v, err := s.get(s.client(s.lab.Members[1]), key)
		return err == nil && atoi(v) >= 10
	})
	cuts = make([]disk.CutRecord, len(s.lab.Members))
	all := func(step func(i int, m lab.Member) error) {
		s.Helper()
		errs := make([]error, len(s.lab.Members))
		var wg sync.WaitGroup
		for i, m := range s.lab.Members {
			wg.Go(func() { errs[i] = step(i, m) })
		}
		wg.Wait()
		s.must(errors.Join(errs...))
	}
	all(func(_ int, m lab.Member) error {
		_, err := can[lab.PowerCutter](s, m).Hold(s.ctx, s.slow(time.Second)) // less, as soon as there is one
		return err
	})
	all(func(_ int, m lab.Member) error {
		f, err := can[lab.Pauser](s, m).Freeze(s.ctx, min(time.Minute, s.slow(15*time.Second)))
		if err == nil && f.Running > 0 {
			err = fmt.Errorf("%s: %d tasks still run", m.Name(), f.Running)
		}
		return err
	})
	all(func(_ int, m lab.Member) error { return can[lab.Linker](s, m).SetLink(s.ctx, false) })
	all(func(i int, m lab.Member) (err error) {
		cuts[i], err = can[lab.PowerCutter](s, m).Cut(s.ctx)
		return err
	})
	all(func(_ int, m lab.Member) error { return can[lab.Runner](s, m).Kill(s.ctx) })
	last = stop()
	all(func(_ int, m lab.Member) error {
		r, err := can[lab.PowerCutter](s, m).Restore(s.ctx, policy, seed)
		s.Logf("%s: %+v, mounted in %v", m.Name(), r.Choice, r.Mount)
		if err != nil {
			return err
		}
		return can[lab.Linker](s, m).SetLink(s.ctx, true)
	})
	all(func(_ int, m lab.Member) error { return can[lab.Runner](s, m).Start(s.ctx) })
	return last, cuts
}

func (s *subject) powerCutter() {
	for _, m := range s.lab.Members {
		can[lab.PowerCutter](s, m)
	}
	policies := []disk.Policy{disk.Drop, disk.Torn}
	if s.Disk.Kind == "dm" {
		policies = policies[:1]
	}
	uncovered := 0
	for i, policy := range policies {
		key := "power" + number(i)
		last, cuts := s.powerLoss(key, policy, uint64(i))
		for _, c := range cuts {
			uncovered += c.Uncovered
		}
		if last == 0 {
			s.Fatal("nothing was acknowledged before the cut")
		}
		for _, m := range s.lab.Members {
			c := s.client(m)
			var got string
			s.until(m.Name()+" to serve", func() bool {
				var err error
				got, err = s.get(c, key)
				return err == nil
			})
			// The put that was under way may have been kept.
			if n := atoi(got); n < last {
				s.Errorf("%s, %s: value %d was acknowledged, %q came back", policy, m.Name(), last, got)
			}
		}
	}
	if uncovered == 0 {
		s.Error("no cut found an un-flushed write: the test proves nothing")
	}
	if s.Disk.Kind == "dm" {
		return
	}
	var log bytes.Buffer
	s.must(can[lab.PowerCutter](s, s.lab.Members[0]).CutLog(s.ctx, &log))
	parsed, err := disk.OpenLog(bytes.NewReader(log.Bytes()), int64(log.Len()))
	s.must(err)
	if len(parsed.Entries) < 2 {
		s.Errorf("cut log of %d entries", len(parsed.Entries))
	}
}

// lyingDisk plants the violation that powerCutter looks for. Its lab is of no
// use afterwards but to be healed by up.
func (s *subject) lyingDisk() {
	for _, m := range s.lab.Members {
		d := can[lab.DiskFaulter](s, m)
		if s.Disk.Kind == "dm" {
			s.reason = "device mapper has no disk that lies about flushes and yet serves"
			s.Skip(s.reason)
		}
		s.must(d.SetDiskProfile(s.ctx, disk.LyingFlush))
	}
	// A key of its own: powerLoss counts from 1 again.
	before := s.writes(s.client(s.lab.Members[0]), "lies-before")
	s.until("writes", func() bool {
		v, err := s.get(s.client(s.lab.Members[1]), "lies-before")
		return err == nil && atoi(v) > 20
	})
	before()
	last, _ := s.powerLoss("lies", disk.Drop, 1)
	for _, m := range s.lab.Members {
		s.must(can[lab.DiskFaulter](s, m).SetDiskProfile(s.ctx, disk.Honest512))
	}
	lost := false
	c := s.client(s.lab.Members[0])
	for end := time.Now().Add(s.slow(time.Minute)); time.Now().Before(end) && !lost; time.Sleep(50 * time.Millisecond) {
		v, err := s.get(c, "lies")
		lost = err == nil && atoi(v) < last
		if i := s.info(s.lab.Members[0]); i.State == lab.StateStopped {
			lost = true // it could not even read what was left
		}
	}
	if !lost {
		s.Error("disks that lie about flushes lost nothing in a power loss of all: the test of power loss sees nothing")
	}
}

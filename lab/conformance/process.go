package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd"
	"github.com/etcdlab/etcdlab/lab/failpoint"
)

func (s *subject) signaller() {
	m := s.lab.Members[2]
	c := can[lab.Signaller](s, m)
	r := can[lab.Runner](s, m)
	for _, signal := range lab.Signals {
		s.must(c.Signal(s.ctx, signal))
		if i := s.info(m); i.State != lab.StateStopped || i.Outside {
			s.Errorf("%s: %+v", signal, i)
		}
		if c.Signal(s.ctx, signal) == nil {
			s.Errorf("%s was sent to an etcd that does not run", signal)
		}
		s.must(r.Start(s.ctx))
		s.wantAll("life", "1")
	}
	if c.Signal(s.ctx, "SIGWINCH") == nil {
		s.Error("an unknown signal was sent")
	}
}

func (s *subject) configurer() {
	m := s.lab.Members[1]
	c := can[lab.Configurer](s, m)
	r := can[lab.Runner](s, m)
	before := s.info(m)
	b := s.Binaries
	s.must(c.Configure(s.ctx, &lab.Settings{
		Args: map[string]string{"snapshot-count": "77"}, Without: []string{"corrupt-check-time"},
		Env: map[string]string{"GOFAIL_FAILPOINTS": `raftBeforeApplySnap=panic("never")`}, Binaries: &b,
	}))
	if i := s.info(m); !slices.Equal(i.Args, before.Args) || i.Settings == nil {
		s.Errorf("settings changed an etcd that runs: %+v", i)
	}
	s.must(r.Kill(s.ctx))
	s.must(r.Start(s.ctx))
	s.wantAll("life", "1")
	i := s.info(m)
	line := strings.Join(i.Args, " ")
	if !strings.Contains(line, "--snapshot-count=77") || strings.Contains(line, "corrupt-check-time") || i.Version != b.Version {
		s.Errorf("started with other settings: %+v", i)
	}
	points, err := failpoint.New(i.FailpointURL).List(s.ctx)
	s.must(err)
	if !slices.Contains(points, failpoint.Point{Name: "raftBeforeApplySnap", Terms: `panic("never")`}) {
		s.Error("no failpoint was armed from the start")
	}
	if c.Configure(s.ctx, &lab.Settings{Args: map[string]string{"data-dir": "/"}}) == nil {
		s.Error("another data directory was taken")
	}
	// Up puts the spec's back.
	again, err := s.Provider.Up(s.ctx, s.spec, s.images)
	s.must(err)
	s.lab.Members = again.Members
	s.wantAll("life", "1")
	if i := s.info(again.Members[1]); i.Settings != nil || !slices.Equal(i.Args[1:], before.Args[1:]) {
		s.Errorf("after up: %+v, want the args %v", i, before.Args)
	}
}

func (s *subject) limiter() {
	m := s.lab.Members[0]
	l := can[lab.Limiter](s, m)
	limited := func() lab.Limited {
		s.Helper()
		now, err := l.Limits(s.ctx)
		s.must(err)
		return now
	}
	stop := s.writes(s.client(m), "limits")
	s.must(l.SetLimits(s.ctx, lab.Limits{CPU: 0.05}))
	s.until("etcd to be kept from running", func() bool { return limited().Throttled > 2 })
	if now := limited(); now.By == "" || now.CPU != 0.05 {
		s.Errorf("limited: %+v", now)
	}
	s.Logf("the processor is limited by %s", limited().By)
	s.must(l.SetLimits(s.ctx, lab.Limits{Files: 5}))
	if now := limited(); now.Files != 5 || now.CPU != 0 || now.Open <= 5 {
		s.Errorf("limited: %+v", now)
	}
	if s.accepts(m, time.Second) {
		s.Error("without a descriptor left it took a connection")
	}
	s.must(l.SetLimits(s.ctx, lab.Limits{}))
	s.until("a connection to be taken", func() bool { return s.accepts(m, s.slow(time.Second)) })
	stop()
	switch err := l.SetLimits(s.ctx, lab.Limits{Memory: 16 << 20}); {
	case errors.As(err, new(*lab.UnsupportedError)):
		s.Logf("no limit of memory: %v", err)
	default:
		s.must(err)
		c := s.client(m)
		killed := func() bool { return s.info(m).State == lab.StateStopped }
		for end := time.Now().Add(s.slow(20 * time.Second)); !killed() && time.Now().Before(end); {
			// Too large for etcd, which has it in memory when it says so.
			_ = each.Do(16, func(int) error { return s.put(c, "memory", strings.Repeat("x", 1900<<10)) })
		}
		i := s.info(m)
		switch {
		case !killed() && s.Provider.Name() == "docker":
			// Seen with engine 20.10 on v1; why is not known.
			s.Logf("in its container etcd was not killed for its memory: %+v", limited())
		case !killed() || i.Outside || !strings.Contains(i.Exit, "memory") || limited().OOMKills == 0:
			s.Errorf("out of memory: %+v, %+v", i, limited())
		}
	}
	s.must(l.SetLimits(s.ctx, lab.Limits{}))
	s.must(can[lab.Runner](s, m).Start(s.ctx))
	s.wantAll("life", "1")
	if now := limited(); now.Limits != (lab.Limits{}) {
		s.Errorf("after all limits were taken off: %+v", now)
	}
}

// accepts says whether etcd takes a connection and says anything at all on it.
func (s *subject) accepts(m lab.Member, within time.Duration) bool {
	s.Helper()
	u, err := url.Parse(s.info(m).ClientURL)
	s.must(err)
	c, err := net.DialTimeout("tcp", u.Host, within)
	if err != nil {
		return false
	}
	defer c.Close()
	s.must(c.SetDeadline(time.Now().Add(within)))
	if _, err := fmt.Fprint(c, "GET /version HTTP/1.0\r\n\r\n"); err != nil {
		return false
	}
	n, _ := c.Read(make([]byte, 1))
	return n > 0
}

func (s *subject) wiper() {
	m := s.lab.Members[2]
	w := can[lab.Wiper](s, m)
	r := can[lab.Runner](s, m)
	if w.Wipe(s.ctx) == nil {
		s.Error("the disk of an etcd that runs was emptied")
	}
	s.must(r.Kill(s.ctx))
	s.must(w.Wipe(s.ctx))
	if i := s.info(m); !i.Wiped {
		s.Errorf("emptied: %+v", i)
	}
	if r.Start(s.ctx) == nil {
		s.Error("etcd was started under its old ID with an empty disk")
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.slow(time.Minute))
	defer cancel()
	j := etcd.Joiner{Via: s.client(s.lab.Members[0]), Slow: s.lab.Slow}
	s.must(j.Rejoin(ctx, m))
	s.wantAll("life", "1")
	if i := s.info(m); i.Wiped || i.Settings != nil {
		s.Errorf("added anew: %+v", i)
	}
	s.must(r.Kill(s.ctx))
	s.must(r.Start(s.ctx))
	s.wantAll("life", "1")
}

func (s *subject) restorer() {
	s.mustPut(s.client(s.lab.Members[1]), "restorer", "in the snapshot")
	snapshot, err := s.client(s.lab.Members[1]).Snapshot(s.ctx)
	s.must(err)
	var data bytes.Buffer
	_, err = data.ReadFrom(snapshot)
	s.must(errors.Join(err, snapshot.Close()))
	s.mustPut(s.client(s.lab.Members[1]), "restorer", "after it")
	var cluster []string
	for _, m := range s.lab.Members {
		cluster = append(cluster, m.Name()+"="+s.info(m).PeerURL)
		s.must(can[lab.Runner](s, m).Kill(s.ctx))
	}
	for _, m := range s.lab.Members {
		c := can[lab.Restorer](s, m)
		s.must(c.RestoreSnapshot(s.ctx, bytes.NewReader(data.Bytes()), lab.Restoring{Cluster: strings.Join(cluster, ","), Token: "etcdlab-again"}))
	}
	if c := can[lab.Restorer](s, s.lab.Members[0]); c.RestoreSnapshot(s.ctx, strings.NewReader("no snapshot"), lab.Restoring{Cluster: cluster[0], Token: "x"}) == nil {
		s.Error("no snapshot was restored")
	}
	for _, m := range s.lab.Members {
		s.must(can[lab.Runner](s, m).Start(s.ctx))
	}
	s.wantAll("restorer", "in the snapshot")
	s.wantAll("life", "1")
}

func (s *subject) clocker() {
	m := s.lab.Members[1]
	c := can[lab.Clocker](s, m)
	near := func(want lab.Clock) {
		s.Helper()
		got, err := c.Clock(s.ctx)
		s.must(err)
		if (got.Offset-want.Offset).Abs() > s.slow(2*time.Second) || got.Rate-want.Rate > 0.001 || want.Rate-got.Rate > 0.001 {
			s.Errorf("the clock is %+v, want %+v", got, want)
		}
	}
	for _, to := range []lab.Clock{{Offset: time.Hour}, {Offset: -24 * time.Hour, Rate: 0.1}} {
		s.must(c.SetClock(s.ctx, to))
		near(to)
		s.wantAll("life", "1")
	}
	s.must(c.SetClock(s.ctx, lab.Clock{}))
	near(lab.Clock{})
}

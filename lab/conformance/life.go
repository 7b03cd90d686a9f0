package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/failpoint"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func number(n int) string { return strconv.Itoa(n) }

func (s *subject) lifeCycle() {
	c := s.client(s.lab.Members[0])
	s.mustPut(c, "life", "1")
	before := s.lab.Members
	again, err := s.Provider.Up(s.ctx, s.spec, s.images)
	s.must(err)
	for i, m := range again.Members {
		if a, b := s.info(before[i]), s.info(m); a.PID != b.PID || a.ClientURL != b.ClientURL || b.State != lab.StateRunning {
			s.Errorf("up again: %+v became %+v", a, b)
		}
	}
	other := *s.spec
	other.TLS = !other.TLS
	_, err = s.Provider.Up(s.ctx, &other, s.images)
	if changed := new(lab.SpecChangedError); !errors.As(err, &changed) || !strings.Contains(changed.Diff, "tls") {
		s.Errorf("up of another spec: %v, want a SpecChangedError that names tls", err)
	}
	opened, err := s.Provider.Open(s.ctx, s.spec.Name)
	s.must(err)
	if opened.Partial != "" || opened.Provider != s.Provider.Name() || spec.Diff(opened.Spec, s.spec) != "" || !slices.Equal(opened.Names(), s.lab.Names()) {
		s.Errorf("opened: %+v", opened)
	}
	labs, err := s.Provider.List(s.ctx)
	s.must(err)
	if !slices.ContainsFunc(labs, func(l *lab.Lab) bool { return l.Name == s.spec.Name && len(l.Members) == 3 }) {
		s.Errorf("list lacks the lab: %v", labs)
	}
	if _, err := s.Provider.Open(s.ctx, s.spec.Name+"-no"); !errors.Is(err, lab.ErrNotFound) {
		s.Errorf("open of no lab: %v", err)
	}
	s.wantAll("life", "1")
}

func (s *subject) addresses() {
	m := s.lab.Members[1]
	r := can[lab.Runner](s, m)
	before := s.info(m)
	s.must(r.Stop(s.ctx))
	s.must(r.Start(s.ctx))
	s.wantAll("life", "1")
	after := s.info(m)
	if before.ClientURL != after.ClientURL || before.PeerURL != after.PeerURL || before.FailpointURL != after.FailpointURL {
		s.Errorf("%+v became %+v", before, after)
	}
	seen := map[string]bool{}
	for _, m := range s.lab.Members {
		i := s.info(m)
		for _, url := range []string{i.ClientURL, i.PeerURL} {
			if url == "" || seen[url] {
				s.Errorf("%s of %s is empty or another's", url, m.Name())
			}
			seen[url] = true
		}
	}
}

func (s *subject) runner() {
	m := s.lab.Members[2]
	r := can[lab.Runner](s, m)
	c := s.client(s.lab.Members[0])
	for i, end := range []func(context.Context) error{r.Kill, r.Stop} {
		first := s.info(m)
		s.must(end(s.ctx))
		s.must(end(s.ctx)) // nothing to end is success
		if i := s.info(m); i.State != lab.StateStopped || i.PID != 0 || i.Exit == "" || i.Outside {
			s.Errorf("ended: %+v", i)
		}
		key := fmt.Sprint("runner", i)
		s.mustPut(c, key, "while one is down")
		s.must(r.Start(s.ctx))
		s.must(r.Start(s.ctx))
		s.wantAll(key, "while one is down")
		if i := s.info(m); i.State != lab.StateRunning || i.PID == 0 || i.PID == first.PID && i.PID > 1000 {
			s.Errorf("started again: %+v, was %+v", i, first)
		}
	}
}

func (s *subject) logger() {
	m := s.lab.Members[0]
	l := can[lab.Logger](s, m)
	var log bytes.Buffer
	s.must(l.Logs(s.ctx, &log, false))
	if !strings.Contains(log.String(), "etcdlab starts etcd") || !strings.Contains(log.String(), "ready to serve client requests") {
		s.Errorf("log of %d bytes lacks etcd's lines", log.Len())
	}
	ctx, cancel := context.WithCancel(s.ctx)
	var followed buffer
	done := make(chan error, 1)
	go func() { done <- l.Logs(ctx, &followed, true) }()
	s.until("the log so far", func() bool { return followed.Len() >= log.Len() })
	r := can[lab.Runner](s, m)
	s.must(r.Kill(s.ctx))
	s.must(r.Start(s.ctx))
	s.until("a line of the next etcd", func() bool {
		return strings.Count(followed.String(), "etcdlab starts etcd") > strings.Count(log.String(), "etcdlab starts etcd")
	})
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		s.Errorf("following ended with %v", err)
	}
	s.must(can[lab.LogTrimmer](s, m).TrimLog(s.ctx))
	s.must(r.Kill(s.ctx))
	s.must(r.Start(s.ctx))
	s.until("the next etcd's line alone", func() bool {
		log.Reset()
		s.must(l.Logs(s.ctx, &log, false))
		return strings.Count(log.String(), "etcdlab starts etcd") == 1
	})
	s.wantAll("life", "1")
}

func (s *subject) execer() {
	m := s.lab.Members[1]
	e := can[lab.Execer](s, m)
	run := func(in io.Reader, argv ...string) (int, string, string) {
		s.Helper()
		var out, errout bytes.Buffer
		exit, err := e.Exec(s.ctx, argv, in, &out, &errout)
		s.must(err)
		return exit, out.String(), errout.String()
	}
	if exit, _, errout := run(strings.NewReader("from stdin"), "etcdctl", "put", "exec"); exit != 0 {
		s.Errorf("etcdctl put: %d: %s", exit, errout)
	}
	if exit, out, errout := run(nil, "etcdctl", "get", "exec", "--print-value-only"); exit != 0 || strings.TrimSpace(out) != "from stdin" {
		s.Errorf("etcdctl get: %d: %q %s", exit, out, errout)
	}
	if exit, _, errout := run(nil, "etcdctl", "no-such-command"); exit == 0 || errout == "" {
		s.Errorf("a command that fails: %d %q", exit, errout)
	}
	if exit, _, errout := run(nil, "etcdutl", "version"); exit != 0 {
		s.Errorf("etcdutl version: %d %s", exit, errout)
	}
	if exit, err := e.Exec(s.ctx, []string{"no-such-program"}, nil, io.Discard, io.Discard); err == nil {
		s.Errorf("a program that is not there: exit %d and no error", exit)
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.slow(time.Second))
	defer cancel()
	if _, err := e.Exec(ctx, []string{"etcdctl", "watch", "nothing"}, nil, io.Discard, io.Discard); err == nil {
		s.Error("a command that was interrupted ended without an error")
	}
}

func (s *subject) failpoints() {
	m := s.lab.Members[0]
	url := s.info(m).FailpointURL
	if url == "" {
		s.Fatal("a build with failpoints has no address for them")
	}
	points := failpoint.New(url)
	list, err := points.List(s.ctx)
	s.must(err)
	if failpoint.Find(list, "raftBeforeSave") != nil {
		s.Fatalf("no raftBeforeSave among %d points", len(list))
	}
	s.must(points.Set(s.ctx, "raftBeforeSave", `panic("conformance")`))
	_ = s.put(s.client(s.lab.Members[1]), "failpoint", "1") // unknown, if m leads
	s.until("the panic", func() bool { return s.info(m).State == lab.StateStopped })
	if i := s.info(m); !strings.Contains(i.Exit, "conformance") || i.Outside {
		s.Errorf("after the panic: %+v", i)
	}
	s.must(can[lab.Runner](s, m).Start(s.ctx))
	s.wantAll("life", "1")
}

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) Len() int { return len(b.String()) }

// Package conformance owns the tests that every provider must pass: the life of
// a lab, and every capability of its members, through the interfaces of package
// lab and etcd's own API and nothing else. A capability that a member lacks is a
// test that is skipped with the member's reason; what came of each is written
// down, so that the table of capabilities is what was seen, not what was meant.
package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// EnvDir names the directory into which a run writes what it found, a file for
// each subject.
const EnvDir = "ETCDLAB_CAPABILITIES"

// Subject is what is tested: a provider with members of one kind.
type Subject struct {
	Name     string // "docker", "vm, disk dm": a column of the table
	Provider lab.Provider
	Disk     spec.Disk
	Binaries lab.Binaries
	Change   func(*spec.Lab) // of the lab that is made; may be nil
	// Left says what is left of a lab that is down; "" is nothing.
	Left func(labName string) string
}

// Row is what came of one test.
type Row struct {
	Test   string `json:"test"`
	Works  bool   `json:"works"`
	Reason string `json:"reason,omitempty"` // why it does not
}

// Report is what came of all of them, in their order.
type Report struct {
	Subject string `json:"subject"`
	Rows    []Row  `json:"rows"`
}

// tests in the order they are run in: one lab goes through all of them.
var tests = []struct {
	name string
	run  func(*subject)
}{
	{"Life cycle: up, again, another spec, list, open", (*subject).lifeCycle},
	{"Addresses stay over a restart", (*subject).addresses},
	{"Runner: start, stop, kill", (*subject).runner},
	{"Logger: etcd's log, followed", (*subject).logger},
	{"Execer: etcdctl on the member's host", (*subject).execer},
	{"Failpoints: listed, armed, reached", (*subject).failpoints},
	{"Signaller: SIGTERM and SIGQUIT, and the end seen", (*subject).signaller},
	{"Configurer: other flags, environment and binaries", (*subject).configurer},
	{"Limiter: processor, descriptors, memory", (*subject).limiter},
	{"Wiper: a fresh disk, added to the cluster anew", (*subject).wiper},
	{"Restorer: a new cluster from a snapshot", (*subject).restorer},
	{"Clocker: another time, another speed", (*subject).clocker},
	{"Pauser: freeze and thaw", (*subject).pauser},
	{"Linker: link down and up", (*subject).linker},
	{"NetShaper: isolated, half cut off, refused, reset, slow, lossy", (*subject).netShaper},
	{"Archiver: the data directory", (*subject).archiver},
	{"DiskFaulter: a failed flush ends etcd, counted", (*subject).diskFaulter},
	{"PowerCutter: power loss keeps what was acknowledged", (*subject).powerCutter},
	{"PowerCutter: a disk that lies about flushes loses it", (*subject).lyingDisk},
	{"HostCrasher: panic, reset, hang", (*subject).hostCrasher},
	{"Console: what the machine prints", (*subject).console},
}

// Tests are the names of all tests.
func Tests() []string {
	var names []string
	for _, t := range tests {
		names = append(names, t.name)
	}
	return names
}

// Run makes a lab of 3 members, puts it through every test, and takes it down.
func Run(t *testing.T, what Subject) {
	s := &subject{Subject: what, T: t}
	report := Report{Subject: what.Name}
	t.Cleanup(func() { report.write(t) })
	s.up()
	for _, test := range tests {
		row := Row{Test: test.name}
		ok := t.Run(test.name, func(t *testing.T) {
			sub := *s
			sub.T = t
			ctx, cancel := context.WithTimeout(t.Context(), sub.slow(5*time.Minute))
			defer cancel()
			sub.ctx = ctx
			t.Cleanup(func() { row.Works = !t.Failed() && !t.Skipped() })
			defer func() { row.Reason = sub.reason }()
			test.run(&sub)
		})
		if !ok {
			row.Reason = "FAILED"
			t.Fatalf("%s failed; the lab is not what the next tests expect", test.name)
		}
		report.Rows = append(report.Rows, row)
	}
	row := Row{Test: "Down leaves nothing, twice"}
	row.Works = t.Run(row.Test, func(t *testing.T) { s.down(t) })
	report.Rows = append(report.Rows, row)
}

// write stores the report where it is wanted.
func (r *Report) write(t *testing.T) {
	dir := os.Getenv(EnvDir)
	if dir == "" || t.Failed() {
		return
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		name := strings.NewReplacer(" ", "-", ",", "").Replace(r.Subject)
		err = os.WriteFile(filepath.Join(dir, "lab-"+name+".json"), append(data, '\n'), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// subject is a lab under test, in one of the tests.
type subject struct {
	Subject
	*testing.T
	ctx    context.Context
	spec   *spec.Lab
	images map[string]lab.Binaries
	lab    *lab.Lab
	reason string // why a test was skipped
}

func (s *subject) up() {
	s.Helper()
	s.spec = &spec.Lab{
		Name: fmt.Sprintf("conf%d", os.Getpid()), Provider: s.Provider.Name(), Members: spec.Count(3), Disk: s.Disk,
	}
	if s.Change != nil {
		s.Change(s.spec)
	}
	s.spec.Default()
	s.must(s.spec.Validate())
	s.images = map[string]lab.Binaries{}
	for _, m := range s.spec.Members {
		s.images[m.Name] = s.Binaries
	}
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), 3*time.Minute)
		defer cancel()
		if err := s.Provider.Down(ctx, s.spec.Name); err != nil {
			s.Errorf("down: %v", err)
		}
	})
	start := time.Now()
	var err error
	s.lab, err = s.Provider.Up(s.Context(), s.spec, s.images)
	s.must(err)
	s.Logf("up of 3 members took %v", time.Since(start).Round(time.Millisecond))
}

func (s *subject) down(t *testing.T) {
	for range 2 {
		if err := s.Provider.Down(t.Context(), s.spec.Name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Provider.Open(t.Context(), s.spec.Name); !errors.Is(err, lab.ErrNotFound) {
		t.Errorf("open after down: %v, want ErrNotFound", err)
	}
	labs, err := s.Provider.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(labs, func(l *lab.Lab) bool { return l.Name == s.spec.Name }) {
		t.Error("list has the lab after down")
	}
	if s.Left != nil {
		if left := s.Left(s.spec.Name); left != "" {
			t.Errorf("left behind: %s", left)
		}
	}
}

func (s *subject) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// slow is d at the speed of the lab's machines.
func (s *subject) slow(d time.Duration) time.Duration {
	return time.Duration(float64(d) * max(1, s.lab.Slow))
}

// can gives a member's capability or skips the test with its reason.
func can[C any](s *subject, m lab.Member) C {
	s.Helper()
	c, err := lab.Can[C](m)
	if err != nil {
		s.skip(err)
	}
	return c
}

// skip ends the test with the typed reason; any other error is a failure.
func (s *subject) skip(err error) {
	s.Helper()
	u, ok := errors.AsType[*lab.UnsupportedError](err)
	if !ok {
		s.Fatal(err)
	}
	if u.Reason == "" {
		s.Fatalf("%s is lacking without a reason", u.Capability)
	}
	s.reason = u.Reason
	s.Skip(u.Reason)
}

// until waits for something to become so.
func (s *subject) until(what string, is func() bool) {
	s.Helper()
	for end := time.Now().Add(s.slow(time.Minute)); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) || s.ctx.Err() != nil {
			s.Fatalf("waited in vain for %s", what)
		}
	}
}

func (s *subject) info(m lab.Member) lab.Info {
	s.Helper()
	i, err := m.Info(s.ctx)
	s.must(err)
	return i
}

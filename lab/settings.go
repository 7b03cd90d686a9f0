package lab

import (
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Signals that Signaller sends.
const (
	SignalTerm = "SIGTERM" // etcd ends in an orderly way
	SignalQuit = "SIGQUIT" // the Go runtime prints every goroutine and exits with status 2
)

// Signals lists them.
var Signals = []string{SignalTerm, SignalQuit}

// Signaller ends etcd with a signal of its own choosing of how.
type Signaller interface {
	// Signal sends one of Signals to an etcd that runs and waits until it has
	// ended; one that does not end in time is an error, and still runs.
	Signal(ctx context.Context, name string) error
}

// Settings are what etcd is started with in place of, or beside, what the lab's
// spec says.
type Settings struct {
	// Args are flags without their dashes.
	Args map[string]string `json:"args,omitempty"`
	// Without are flags of the spec's that are left out, such as those that
	// another release does not have.
	Without []string `json:"without,omitempty"`
	// Env are variables; GOFAIL_FAILPOINTS=point=terms arms failpoints from the
	// start on.
	Env map[string]string `json:"env,omitempty"`
	// Binaries are another build's, of the same architecture; nil are the spec's.
	Binaries *Binaries `json:"binaries,omitempty"`
}

// Configurer changes what etcd is started with from its next start on. It lasts
// over restarts of etcd, of its agent and of its machine; `up` and a heal put the
// spec's back.
type Configurer interface {
	// Configure replaces the settings; nil puts the spec's back.
	Configure(ctx context.Context, s *Settings) error
	// Settings gives what Configure set, nil for the spec's.
	Settings(ctx context.Context) (*Settings, error)
}

// Wiper gives a member a fresh disk.
type Wiper interface {
	// Wipe empties the data directory of an etcd that does not run. From then on
	// etcd only starts as a member that was added anew (initial-cluster-state set
	// to existing): under its old ID, with nothing of what it had promised the
	// others, it would break what raft relies on.
	Wipe(ctx context.Context) error
}

// Restoring is how a data directory is made of a snapshot.
type Restoring struct {
	Cluster string `json:"cluster"` // initial-cluster: name=peer URL, by comma
	Token   string `json:"token"`   // of the new cluster
	// BumpRevision raises the revision, so that watchers and caches never see one
	// twice; with it everything before counts as compacted.
	BumpRevision uint64 `json:"bumpRevision,omitempty"`
}

// Restorer makes a member's data directory anew from a snapshot of a store.
type Restorer interface {
	// RestoreSnapshot replaces the data directory of an etcd that does not run
	// with one that the member's own etcdutl makes of the snapshot. Either the
	// old or the new one is there afterwards, or, after a crash, a wiped one.
	RestoreSnapshot(ctx context.Context, snapshot io.Reader, how Restoring) error
}

// kept are flags that settings may not change: the member would be another one,
// or its evidence elsewhere.
var kept = []string{"name", "data-dir", "wal-dir", "logger", "log-outputs", "config-file"}

var (
	flagForm     = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Check says what is wrong with settings.
func (s *Settings) Check() error {
	if s == nil {
		return nil
	}
	for _, name := range append(slices.Sorted(maps.Keys(s.Args)), s.Without...) {
		if !flagForm.MatchString(name) {
			return fmt.Errorf("%q is no flag's name, which has no dashes in front", name)
		}
		if slices.Contains(kept, name) {
			return fmt.Errorf("the flag %s cannot be changed", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		if !variableForm.MatchString(name) || strings.ContainsRune(s.Env[name], 0) {
			return fmt.Errorf("%q is no environment variable", name)
		}
	}
	for _, value := range s.Args {
		if strings.ContainsRune(value, 0) {
			return fmt.Errorf("a flag's value cannot have a NUL")
		}
	}
	if b := s.Binaries; b != nil && (b.Key == "" || b.Version == "" || b.Etcd == "") {
		return fmt.Errorf("binaries need key, version and etcd")
	}
	return nil
}

// Line is the spec's command line, without the program, as these settings change
// it: what they set comes last, in order of name.
func (s *Settings) Line(spec []string) []string {
	if s == nil {
		return slices.Clone(spec)
	}
	line := slices.DeleteFunc(slices.Clone(spec), func(arg string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		_, changed := s.Args[name]
		return changed || slices.Contains(s.Without, name)
	})
	for _, name := range slices.Sorted(maps.Keys(s.Args)) {
		line = append(line, "--"+name+"="+s.Args[name])
	}
	return line
}

// Environment is the spec's as these settings change it.
func (s *Settings) Environment(spec []string) []string {
	if s == nil {
		return slices.Clone(spec)
	}
	env := slices.DeleteFunc(slices.Clone(spec), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		_, changed := s.Env[name]
		return changed
	})
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		env = append(env, name+"="+s.Env[name])
	}
	return env
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// fake is a host that does nothing but remember.
type fake struct {
	mu    sync.Mutex
	calls []string
	net   []lab.NetRule
	exec  func(ctx context.Context, argv []string, in io.Reader, out, errout io.Writer) (int, error)
	log   func(ctx context.Context, w io.Writer, follow bool) error
}

func (f *fake) did(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

func (f *fake) said() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.calls, "; ")
}

func (f *fake) Start(context.Context) error { f.did("start"); return nil }
func (f *fake) Stop(context.Context) error  { f.did("stop"); return nil }
func (f *fake) Kill(context.Context) error {
	return fmt.Errorf("kill it: %w", Conflict("it is dead already"))
}
func (f *fake) Freeze(_ context.Context, d time.Duration) (lab.Frozen, error) {
	f.did("freeze %v", d)
	return lab.Frozen{Observed: true, Freezer: "none"}, nil
}
func (f *fake) Thaw(context.Context) error { return errors.New("it is\n stuck") }
func (f *fake) SetLink(_ context.Context, up bool) error {
	f.did("link %v", up)
	return nil
}
func (f *fake) Hold(ctx context.Context, _ time.Duration) (lab.Held, error) {
	<-ctx.Done()
	f.did("hold ended")
	return lab.Held{}, ctx.Err()
}
func (f *fake) Release(context.Context) error { return nil }
func (f *fake) Cut(context.Context) (disk.CutRecord, error) {
	return disk.CutRecord{}, &lab.UnsupportedError{Member: "x", Capability: "PowerCutter", Reason: "no disk"}
}
func (f *fake) Restore(context.Context, disk.Policy, uint64) (lab.Restored, error) {
	return lab.Restored{}, &lab.UnmountableError{Reason: "torn", Choice: disk.Choice{Seed: 7}}
}
func (f *fake) CutLog(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, "half")
	return errors.Join(err, errors.New("the rest is lost"))
}
func (f *fake) SetDiskFaults(context.Context, []disk.Fault) error     { return Invalid("no such fault") }
func (f *fake) DiskFaults(context.Context) ([]disk.FaultState, error) { return nil, nil }
func (f *fake) SetDiskProfile(context.Context, string) error          { return nil }
func (f *fake) DiskStats(context.Context) (disk.Stats, error)         { return disk.Stats{}, nil }
func (f *fake) SetNetRules(_ context.Context, owner string, rules []lab.NetRule, seed uint64) error {
	f.did("net %s %d rules %d", owner, len(rules), seed)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.net = rules
	return nil
}
func (f *fake) NetRules(context.Context) (s []lab.NetRuleState, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.net {
		s = append(s, lab.NetRuleState{NetRule: r, Packets: 3, Hit: 2})
	}
	return s, nil
}
func (f *fake) Archive(_ context.Context, w io.Writer) (string, error) {
	_, err := io.WriteString(w, "tar")
	return "frozen", err
}
func (f *fake) Logs(ctx context.Context, w io.Writer, follow bool) error {
	return f.log(ctx, w, follow)
}
func (f *fake) TrimLog(context.Context) error { f.did("trim"); return nil }
func (f *fake) Exec(ctx context.Context, argv []string, in io.Reader, out, errout io.Writer) (int, error) {
	return f.exec(ctx, argv, in, out, errout)
}
func (f *fake) Status(context.Context) (Status, error) {
	return Status{Member: "m1", State: lab.StateRunning}, nil
}
func (f *fake) Shutdown(_ context.Context, discard bool) error {
	f.did("shutdown %v", discard)
	return nil
}

func (f *fake) Signal(_ context.Context, name string) error { f.did("signal %s", name); return nil }
func (f *fake) Configure(_ context.Context, s *lab.Settings) error {
	if s == nil {
		f.did("configure nothing")
	} else {
		f.did("configure %v %v", s.Args, s.Binaries)
	}
	return nil
}
func (f *fake) Settings(context.Context) (*lab.Settings, error) {
	return &lab.Settings{Without: []string{"x"}}, nil
}
func (f *fake) Wipe(context.Context) error { f.did("wipe"); return nil }
func (f *fake) RestoreSnapshot(_ context.Context, r io.Reader, how lab.Restoring) error {
	data, err := io.ReadAll(r)
	f.did("restore %s as %s", data, how.Token)
	return err
}
func (f *fake) SetLimits(_ context.Context, l lab.Limits) error { f.did("limit %+v", l); return nil }
func (f *fake) Limits(context.Context) (lab.Limited, error) {
	return lab.Limited{Limits: lab.Limits{Files: 3}, By: "cpu.max", Open: 9}, nil
}
func (f *fake) SetClock(_ context.Context, c lab.Clock) error {
	f.did("clock %v %v", c.Offset.Round(time.Minute), c.Rate)
	return nil
}
func (f *fake) Clock(context.Context) (lab.Clock, error) {
	return lab.Clock{Offset: time.Hour, Rate: 0.05}, nil
}
func (f *fake) Upload(_ context.Context, key, name string, r io.Reader) (string, error) {
	data, err := io.ReadAll(r)
	f.did("upload %s of %s: %s", name, key, data)
	return "/there/" + name, err
}

func (f *fake) Extents(_ context.Context, file string) ([]disk.Extent, error) {
	return []disk.Extent{{File: 1, Disk: 2, Length: 3}}, nil
}
func (f *fake) HoldAt(_ context.Context, at lab.Moment, max time.Duration) (lab.Held, error) {
	f.did("hold at %+v within %v", at, max)
	return lab.Held{Fired: true}, nil
}
func (f *fake) Fill(_ context.Context, leave int64) (lab.Space, error) {
	f.did("fill %d", leave)
	return lab.Space{Free: leave}, nil
}
func (f *fake) Unfill(context.Context) (lab.Space, error) { f.did("unfill"); return lab.Space{}, nil }
func (f *fake) Space(context.Context) (lab.Space, error)  { return lab.Space{Size: 9}, nil }
func (f *fake) Damage(_ context.Context, d lab.Damage) (lab.Damaged, error) {
	f.did("damage %+v", d)
	return lab.Damaged{Path: "member/snap/db", Kind: d.Kind, Bit: 3}, nil
}
func (f *fake) Repair(context.Context) ([]lab.Repaired, error) {
	return []lab.Repaired{{Restored: true}}, nil
}

var _ Host = (*fake)(nil)

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
func (f *fake) Archive(_ context.Context, w io.Writer) (string, error) {
	_, err := io.WriteString(w, "tar")
	return "frozen", err
}
func (f *fake) Logs(ctx context.Context, w io.Writer, follow bool) error {
	return f.log(ctx, w, follow)
}
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

var _ Host = (*fake)(nil)

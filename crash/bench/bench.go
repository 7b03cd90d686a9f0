// Package bench owns the measurements of whole labs that docs/benchmarks.md
// quotes. What is compared is measured in turns in one run, and ratios and
// medians are what is printed: the machine may be noisy.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Bench measures labs of one provider.
type Bench struct {
	Provider lab.Provider
	Binaries lab.Binaries
	Turns    int           // of each measurement; the median is printed
	Load     time.Duration // of each turn of puts
	Progress func(format string, args ...any)
}

// labOf is a lab of n members with a disk of a kind.
func (b *Bench) labOf(n int, kind string) *spec.Lab {
	s := &spec.Lab{Name: "bench-" + b.Provider.Name() + "-" + kind, Provider: b.Provider.Name(), Members: spec.Count(n), Disk: spec.Disk{Kind: kind}}
	s.Default()
	return s
}

func (b *Bench) up(ctx context.Context, s *spec.Lab) (*lab.Lab, error) {
	built := map[string]lab.Binaries{}
	for _, m := range s.Members {
		built[m.Name] = b.Binaries
	}
	return b.Provider.Up(ctx, s, built)
}

// down removes a lab even when the measurement was interrupted.
func (b *Bench) down(ctx context.Context, s *spec.Lab) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	return b.Provider.Down(ctx, s.Name)
}

// Up measures how long 3 members take from nothing to ready to serve.
func (b *Bench) Up(ctx context.Context, w io.Writer) error {
	var took []time.Duration
	for range b.Turns {
		s := b.labOf(3, "fault")
		start := time.Now()
		_, err := b.up(ctx, s)
		took = append(took, time.Since(start))
		if err := errors.Join(err, b.down(ctx, s)); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "up of 3 members on provider %s, ready to serve: median %v (%v to %v, %d times)\n\n",
		b.Provider.Name(), round(median(took)), round(slices.Min(took)), round(slices.Max(took)), len(took))
	return nil
}

// Rounds measures full rounds of power loss of all of 3 members: load, cut,
// recovery, load again.
func (b *Bench) Rounds(ctx context.Context, w io.Writer, rounds int) (err error) {
	s := b.labOf(3, "fault")
	l, err := b.up(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.down(ctx, s)) }()
	dir, err := os.MkdirTemp("", "etcdlab-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r, err := crash.Run(ctx, l, crash.Options{
		Schedule: schedule.One(fault.NamePowerLoss, schedule.All, nil), Seed: 1, Rounds: rounds,
		OpsBefore: 100, OpsAfter: 100, Dir: dir, Progress: b.Progress,
	})
	if err != nil {
		return err
	}
	var round_, recovery []time.Duration
	lost := 0
	for _, f := range r.Rounds {
		round_ = append(round_, time.Duration(f.RoundNS))
		recovery = append(recovery, time.Duration(f.RecoveryNS))
		if f.Dropped+f.Torn > 0 {
			lost++
		}
	}
	fmt.Fprintf(w, "power loss of 3 members on provider %s, 100 to 150 operations before and 100 after: round median %v, recovery median %v (%d rounds, %d lost something)\n\n",
		b.Provider.Name(), round(median(round_)), round(median(recovery)), len(r.Rounds), lost)
	return nil
}

// discard is a history nobody reads.
type discard struct{}

func (discard) Append(*history.Op) error { return nil }

// puts loads one member and gives acknowledged puts a second and the disk
// server's CPU a put (0 without one).
func (b *Bench) puts(ctx context.Context, l *lab.Lab, clients int) (perSecond float64, cpu time.Duration, err error) {
	m := l.Members[0]
	info, err := m.Info(ctx)
	if err != nil {
		return 0, 0, err
	}
	before, err := serverCPU(ctx, m)
	if err != nil {
		return 0, 0, err
	}
	load, err := traffic.Start(ctx, traffic.Options{
		RunID: "0000000000000000", Prefix: "/bench/", Endpoints: []traffic.Endpoint{{Member: m.Name(), URL: info.ClientURL}},
		Clients: clients, Profile: traffic.Profile{Mix: map[string]int{"put": 1}, Keys: 1000}, Sink: discard{}, MaxOps: 5_000_000,
	})
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	select {
	case <-ctx.Done():
	case <-time.After(b.Load):
	}
	acked, took := load.Acked(), time.Since(start)
	if err := errors.Join(load.Stop(), ctx.Err()); err != nil {
		return 0, 0, err
	}
	after, err := serverCPU(ctx, m)
	if err != nil || acked == 0 {
		return 0, 0, errors.Join(err, fmt.Errorf("%d puts were acknowledged", acked))
	}
	return float64(acked) / took.Seconds(), (after - before) / time.Duration(acked), nil
}

func serverCPU(ctx context.Context, m lab.Member) (time.Duration, error) {
	d, err := lab.Can[lab.DiskFaulter](m)
	if err != nil {
		return 0, nil // a plain disk has no server
	}
	st, err := d.DiskStats(ctx)
	return st.CPU, err
}

func median[T ~int64 | ~float64](v []T) T {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

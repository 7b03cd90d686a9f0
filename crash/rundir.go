package crash

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
)

// flushEvery bounds what a kill -9 of etcdlab can take from the history.
const flushEvery = 100 * time.Millisecond

// runDir is the run directory while it is written.
type runDir struct {
	path    string
	files   []*os.File // of ops and watches
	ops     *history.Writer
	watches *history.WatchWriter
	stop    chan struct{}
	done    chan struct{}

	mu     sync.Mutex
	events *os.File
	err    error // the first of writing events or of flushing the history
}

// open makes the run directory and writes what is known at the start.
func (r *run) open(ctx context.Context) error {
	var id [8]byte
	_, _ = rand.Read(id[:])
	r.meta = history.Run{
		ID: hex.EncodeToString(id[:]), Scenario: r.opts.Scenario, Lab: r.lab.Name, Provider: r.lab.Provider,
		FS:   r.lab.Spec.Disk.FS,
		Seed: r.opts.Seed, Rounds: r.opts.Rounds, Checks: r.opts.Checks,
		Fault: strings.Join(schedule.Faults(r.opts.Schedule), ","), Target: strings.Join(schedule.Targets(r.opts.Schedule), ","), Policy: r.opts.policies(),
		Clients: r.opts.loops(len(r.lab.Members)), Rate: r.opts.rate(), Traffic: r.opts.Traffic.Name,
		Start: clock.Now(), Wall: time.Now().UTC().Format(time.RFC3339Nano),
		Command: r.opts.Command, Tool: r.opts.Tool, Kernel: kernel(),
	}
	// All evidence is stamped here, by this process, whatever machines the
	// members are: ClockUncertainty stays 0.
	r.meta.Prefix = "/etcdlab/" + r.meta.ID + "/"
	for _, m := range r.lab.Members {
		info, err := m.Info(ctx)
		if err != nil {
			return err
		}
		var logged counter
		if err := logs(ctx, m, &logged); err != nil {
			return err
		}
		r.logStart[m.Name()] = int64(logged)
		r.meta.Etcd = info.Version
		r.meta.Members = append(r.meta.Members, history.Member{
			Name: m.Name(), ID: r.cluster.ids[m.Name()], ClientURL: info.ClientURL, Args: info.Args,
		})
	}
	var err error
	if r.meta.Profile, err = r.profile(ctx); err != nil {
		return err
	}
	if r.meta.Base.Revision, err = r.cluster.base(ctx); err != nil {
		return fmt.Errorf("read the revision the run starts from: %w", err)
	}
	path := filepath.Join(r.opts.Dir, fmt.Sprintf("%s-%s-%s", r.lab.Name, time.Now().UTC().Format("20060102-150405"), r.meta.ID[:6]))
	r.dir, err = createRunDir(path, r.opts.Duration)
	if err != nil {
		return err
	}
	r.opts.Progress("run directory %s", path)
	lab, err := r.lab.Spec.Marshal()
	if err != nil {
		return err
	}
	err = errors.Join(os.WriteFile(filepath.Join(path, history.FileSpec), lab, 0o644), history.WriteRun(path, &r.meta))
	if err != nil {
		return errors.Join(fmt.Errorf("begin the run directory: %w; choose another with --run-dir", err), r.dir.close())
	}
	return nil
}

// base is the revision the store is at, from any member that answers.
func (c *cluster) base(ctx context.Context) (revision int64, err error) {
	for name := range c.clients {
		if revision, err = c.probe(ctx, name); err == nil {
			return revision, nil
		}
	}
	return 0, err
}

func createRunDir(path string, duration time.Duration) (*runDir, error) {
	if err := CheckDir(filepath.Dir(path), duration); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make the run directory: %w; choose another with --run-dir", err)
	}
	d := &runDir{path: path, stop: make(chan struct{}), done: make(chan struct{})}
	if err := d.create(); err != nil {
		return nil, errors.Join(fmt.Errorf("begin the run directory: %w", err), d.closeFiles())
	}
	go d.flushLoop()
	return d, nil
}

// create makes the files that grow during the run.
func (d *runDir) create() (err error) {
	if d.events, err = os.Create(filepath.Join(d.path, history.FileEvents)); err != nil {
		return err
	}
	for _, name := range []string{history.FileOps, history.FileWatches} {
		f, err := os.Create(filepath.Join(d.path, name))
		if err != nil {
			return err
		}
		d.files = append(d.files, f)
	}
	if d.ops, err = history.NewWriter(d.files[0]); err != nil {
		return err
	}
	d.watches, err = history.NewWatchWriter(d.files[1])
	return err
}

func (d *runDir) flushLoop() {
	defer close(d.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-tick.C:
			d.fail(errors.Join(d.ops.Flush(), d.watches.Flush()))
		}
	}
}

func (d *runDir) fail(err error) {
	if err == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = fmt.Errorf("write the run directory %s: %w", d.path, err)
	}
}

// event appends an event; a failure is the run's, told by close.
func (d *runDir) event(e history.Event) {
	d.mu.Lock()
	err := history.AppendEvent(d.events, &e)
	d.mu.Unlock()
	d.fail(err)
}

// close ends the writing; its error says that evidence was lost.
func (d *runDir) close() error {
	close(d.stop)
	<-d.done
	d.fail(errors.Join(d.ops.Close(), d.watches.Close()))
	return errors.Join(d.err, d.closeFiles())
}

func (d *runDir) closeFiles() error {
	var errs []error
	for _, f := range append(d.files, d.events) {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// diskLogs stores the write log's tail of each cut of a round.
func (d *runDir) diskLogs(ctx context.Context, round int, members []lab.Member) error {
	for _, m := range members {
		c, err := lab.Can[lab.PowerCutter](m)
		if err != nil {
			return err
		}
		path := filepath.Join(d.path, history.DirDisks, m.Name(), fmt.Sprintf("round-%d.log", round))
		if err := writeFile(path, func(w io.Writer) error { return c.CutLog(ctx, w) }); err != nil {
			return fmt.Errorf("store the write log of %s: %w", m.Name(), err)
		}
	}
	return nil
}

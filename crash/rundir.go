package crash

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
)

// flushEvery bounds what a kill -9 of etcdlab can take from the history.
const flushEvery = 100 * time.Millisecond

// runDir is the run directory while it is written.
type runDir struct {
	path    string
	opsFile *os.File
	ops     *history.Writer
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
		Seed: r.opts.Seed, Rounds: r.opts.Rounds, Fault: r.opts.faultNames(), Target: r.opts.Target, Policy: string(r.opts.Policy),
		Clients: r.opts.Clients, Rate: r.opts.Rate,
		Start: clock.Now(), Wall: time.Now().UTC().Format(time.RFC3339Nano),
		Command: r.opts.Command, Tool: r.opts.Tool, Kernel: kernel(),
	}
	if !r.opts.cuts() {
		r.meta.Policy = ""
	}
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
	r.dir, err = createRunDir(path)
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

func createRunDir(path string) (*runDir, error) {
	if err := CheckDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make the run directory: %w; choose another with --run-dir", err)
	}
	d := &runDir{path: path, stop: make(chan struct{}), done: make(chan struct{})}
	var err error
	if d.opsFile, err = os.Create(filepath.Join(path, history.FileOps)); err != nil {
		return nil, err
	}
	if d.events, err = os.Create(filepath.Join(path, history.FileEvents)); err != nil {
		return nil, errors.Join(err, d.opsFile.Close())
	}
	if d.ops, err = history.NewWriter(d.opsFile); err != nil {
		return nil, errors.Join(err, d.opsFile.Close(), d.events.Close())
	}
	go d.flushLoop()
	return d, nil
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
			d.fail(d.ops.Flush())
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
	d.fail(d.ops.Close())
	return errors.Join(d.err, d.opsFile.Close(), d.events.Close())
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

func writeFile(path string, fill func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}

// untar unpacks regular files and directories below dir; runs of zeroes become
// holes, because most of a WAL segment is preallocated.
func untar(r io.Reader, dir string) error {
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) {
			return fmt.Errorf("archive holds %q, which leads out of its directory", h.Name)
		}
		path := filepath.Join(dir, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeReg:
			err = writeFile(path, func(w io.Writer) error { return copySparse(w.(*os.File), tr, h.Size) })
		}
		if err != nil {
			return err
		}
	}
}

func copySparse(f *os.File, r io.Reader, size int64) error {
	buf, zero := make([]byte, 64<<10), make([]byte, 64<<10)
	for off := int64(0); off < size; {
		n, err := io.ReadFull(r, buf[:min(int64(len(buf)), size-off)])
		if err != nil {
			return err
		}
		if string(buf[:n]) != string(zero[:n]) {
			if _, err := f.WriteAt(buf[:n], off); err != nil {
				return err
			}
		}
		off += int64(n)
	}
	return f.Truncate(size)
}

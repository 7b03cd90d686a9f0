package series

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/lab"
)

// Parts are what a series is made of that is not its own.
type Parts struct {
	// Up makes the lab, or brings it back to what it should be: every member
	// powered, linked, healed and serving. made says that it is a new one.
	Up func(ctx context.Context) (made bool, err error)
	// Down takes the lab down; none is success.
	Down func(ctx context.Context) error
	// Run plays a leg on the lab.
	Run func(ctx context.Context, o crash.Options) (*crash.Result, error)
	// Tidy takes from the lab what earlier legs left on it; nothing plays.
	Tidy func(ctx context.Context) error
	// Judge judges a run directory and stores the verdict there.
	Judge    func(ctx context.Context, dir string) (*verify.Verdict, error)
	Progress func(format string, args ...any)
}

// Series is one that is open.
type Series struct {
	Dir     string
	Plan    *Plan
	release func()

	mu     sync.Mutex // of what follows
	state  state
	ledger *ledger
}

// Create begins a series in a directory of its own below runs.
func Create(ctx context.Context, runs string, p *Plan) (*Series, error) {
	p.Version, p.Wall = 1, time.Now().UTC().Format(time.RFC3339Nano)
	if err := p.check(); err != nil {
		return nil, err
	}
	s, err := p.Lab()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(runs, fmt.Sprintf("%s-%s-series", s.Name, time.Now().UTC().Format("20060102-150405")))
	if err = os.MkdirAll(runs, 0o755); err == nil {
		err = os.Mkdir(dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("make the directory of the series: %w; choose another with --run-dir", err)
	}
	if err := p.write(dir); err != nil {
		return nil, err
	}
	return Open(ctx, dir)
}

// Open goes on with the series in dir, which no other etcdlab may have open.
func Open(ctx context.Context, dir string) (_ *Series, err error) {
	s := &Series{Dir: dir}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if s.release, err = lab.LockFile(short, filepath.Join(dir, ".lock")); err != nil {
		if ctx.Err() == nil {
			err = lab.Misuse("series %s is being played by another etcdlab", dir)
		}
		return nil, err
	}
	if s.Plan, err = ReadPlan(dir); err == nil {
		s.ledger, err = openLedger(dir, s.state.tell)
	}
	if err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

// Close lets others have it.
func (s *Series) Close() error {
	defer s.release()
	return s.ledger.f.Close()
}

// note stores an entry and takes it in.
func (s *Series) note(e *Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.ledger.add(e), s.state.tell(e))
}

// upcoming gives the leg that is played next, and how long; 0 is that none is.
func (s *Series) upcoming() (leg int, lasts time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.upcoming(), s.Plan.next(s.state.Played)
}

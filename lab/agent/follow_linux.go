package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/disk"
)

// placeEvery is how often the files of armed faults are looked for. What is
// written to a file between its growth and the next look is not seen as its own.
const placeEvery = 10 * time.Millisecond

// Placer tells an engine where files lie, for as long as a fault or a trigger
// needs to know.
type Placer struct {
	Engine  *disk.Engine
	Extents func(ctx context.Context, file string) ([]disk.Extent, error)
	Every   time.Duration // 0 is 10 ms

	mu     sync.Mutex
	faults []string // the files of armed faults
	moment []string // and of a moment that is waited for
	cancel context.CancelFunc
	done   chan struct{}
}

// Faults follows the files of these faults from now on.
func (p *Placer) Faults(ctx context.Context, faults []disk.Fault) error {
	var files []string
	for _, f := range faults {
		if f.File != "" {
			files = append(files, f.File)
		}
	}
	return p.follow(ctx, func() { p.faults = files })
}

// Moment follows the file, if it is one, that a moment is about.
func (p *Placer) Moment(ctx context.Context, file string) error {
	return p.follow(ctx, func() {
		p.moment = nil
		if file != "" {
			p.moment = []string{file}
		}
	})
}

// follow places the files once, before it returns, and then again and again.
func (p *Placer) follow(ctx context.Context, change func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.end()
	files := append(slices.Clone(p.faults), p.moment...)
	if len(files) == 0 {
		return nil
	}
	if err := p.place(ctx, files); err != nil {
		return err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.cancel, p.done = cancel, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		every := p.Every
		if every == 0 {
			every = placeEvery
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-life.Done():
				return
			case <-tick.C:
			}
			// What cannot be seen now, of a disk that hangs or a machine that is
			// frozen, is where it was seen last.
			_ = p.place(life, files)
		}
	}(p.done)
	return nil
}

func (p *Placer) place(ctx context.Context, files []string) error {
	for _, file := range files {
		extents, err := p.Extents(ctx, file)
		if err != nil {
			return err
		}
		p.Engine.Place(file, extents)
	}
	return nil
}

// end lets go of the files. A look that the disk keeps waiting ends by itself.
func (p *Placer) end() {
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
}

// Stop ends following and waits until no file is open any more.
func (p *Placer) Stop(ctx context.Context) {
	p.mu.Lock()
	p.faults, p.moment = nil, nil
	p.end()
	done := p.done
	p.mu.Unlock()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

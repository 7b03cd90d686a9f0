package transcript

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
)

// source gives records until io.EOF.
type source func() (*Record, error)

// read merges the three logs of a run by time and hands over every record.
// Memory does not grow with them, but for events, of which there are few. A log
// that is damaged ends there; the others are read to their ends before its
// error, a *history.CorruptError, is returned.
func read(dir history.Dir, each func(*Record) error) (notes []string, err error) {
	var files []io.Closer
	defer func() {
		for _, f := range files {
			_ = f.Close() // it was only read
		}
	}()
	open := func(name string) (*os.File, error) {
		f, err := os.Open(dir.Path(name))
		if err == nil {
			files = append(files, f)
		}
		return f, err
	}
	var sources []source
	f, err := open(history.FileOps)
	if err != nil {
		return nil, fmt.Errorf("read the operations: %w", err)
	}
	ops, err := history.NewReader(f)
	if err != nil {
		return nil, named(history.FileOps, err)
	}
	sources = append(sources, opSource(ops))
	var watches *history.WatchReader
	switch f, err := open(history.FileWatches); {
	case errors.Is(err, fs.ErrNotExist):
		notes = append(notes, "there is no "+history.FileWatches+": the run recorded no watches")
	case err != nil:
		return nil, fmt.Errorf("read the watches: %w", err)
	default:
		if watches, err = history.NewWatchReader(f); err != nil {
			return nil, named(history.FileWatches, err)
		}
		sources = append(sources, watchSource(watches))
	}
	events, eventsErr := history.ReadEvents(string(dir))
	if errors.Is(eventsErr, fs.ErrNotExist) {
		notes, eventsErr = append(notes, "there is no "+history.FileEvents), nil
	}
	sources = append(sources, eventSource(events))

	damage := errors.Join(eventsErr)
	err = merge(sources, func(err error) { damage = errors.Join(damage, err) }, each)
	if ops.Truncated() {
		notes = append(notes, cutShort(history.FileOps))
	}
	if watches != nil && watches.Truncated() {
		notes = append(notes, cutShort(history.FileWatches))
	}
	return notes, errors.Join(err, damage)
}

func cutShort(name string) string {
	return name + " has no end mark: its writer was killed or still writes, and what came last may be missing"
}

// named says of which file an error is.
func named(name string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

func opSource(r *history.Reader) source {
	return func() (*Record, error) {
		op := new(history.Op)
		if err := r.Next(op); err != nil {
			return nil, named(history.FileOps, err)
		}
		return &Record{Time: op.Return, Op: op}, nil
	}
}

func watchSource(r *history.WatchReader) source {
	return func() (*Record, error) {
		w := new(history.WatchRecord)
		if err := r.Next(w); err != nil {
			return nil, named(history.FileWatches, err)
		}
		return &Record{Time: w.Time, Watch: w}, nil
	}
}

func eventSource(events []history.Event) source {
	slices.SortStableFunc(events, func(a, b history.Event) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	return func() (*Record, error) {
		if len(events) == 0 {
			return nil, io.EOF
		}
		e := &events[0]
		events = events[1:]
		return &Record{Time: e.Time, Event: e}, nil
	}
}

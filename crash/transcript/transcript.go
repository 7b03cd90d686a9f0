// Package transcript owns the telling of a run's history: what clients did,
// what watchers were told and what happened to members, merged by time,
// filtered, and written for people or for other tools. It reads a run directory
// and judges nothing.
package transcript

import (
	"bufio"
	"fmt"
	"io"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Record is one thing of the history: exactly one of Op, Watch and Event is set.
type Record struct {
	// Time is when it was known, in nanoseconds of CLOCK_MONOTONIC: of an
	// operation when it returned, of a watch's record when the client had it.
	Time  int64
	Op    *history.Op
	Watch *history.WatchRecord
	Event *history.Event
}

// Format is what a history is written as.
type Format string

const (
	Text      Format = "text"
	JSONLines Format = "jsonl"
	Porcupine Format = "porcupine" // see porcupinePage
	Elle      Format = "elle"      // see elle
)

// Formats lists every format.
var Formats = []Format{Text, JSONLines, Porcupine, Elle}

// formatter writes records in the order of their times.
type formatter interface {
	record(*Record) error
	// end writes what follows the last record, and gives what a reader of the
	// output should know of it.
	end() (notes []string, err error)
}

// Write tells the history of the run in dir, as far as the filter lets it
// through. The notes say what the evidence lacks, such as the end of a history
// whose writer was killed, and what the format cannot express. An error that is
// a *history.CorruptError comes after everything that could be read was written.
func Write(out io.Writer, dir string, format Format, f Filter) (notes []string, err error) {
	run, err := history.ReadRun(dir)
	if err != nil {
		return nil, fmt.Errorf("read the run's description: %w", err)
	}
	f.run = run
	w := bufio.NewWriterSize(out, 64<<10)
	to, err := newFormatter(w, format, run)
	if err != nil {
		return nil, err
	}
	var writeErr error
	notes, readErr := read(history.Dir(dir), func(r *Record) error {
		if !f.lets(r) {
			return nil
		}
		writeErr = to.record(r)
		return writeErr
	})
	if writeErr != nil {
		return notes, writeErr
	}
	more, err := to.end()
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return notes, fmt.Errorf("write the history: %w", err)
	}
	return append(notes, more...), readErr
}

func newFormatter(w *bufio.Writer, format Format, run *history.Run) (formatter, error) {
	switch format {
	case Text:
		return &text{w: w, words: words{run: run}}, nil
	case JSONLines:
		return &jsonLines{w: w}, nil
	case Porcupine:
		return newPorcupine(w, run), nil
	case Elle:
		return newElle(w, run), nil
	}
	return nil, fmt.Errorf("unknown format %q; the formats are %v", format, Formats)
}

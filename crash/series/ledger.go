package series

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// Kind is what a line of the ledger tells of.
type Kind string

const (
	KindLab     Kind = "lab"     // the lab was made, or brought back to what it should be
	KindResumed Kind = "resumed" // another etcdlab goes on
	KindBegun   Kind = "begun"   // a leg; it is begun again if it left nothing to judge
	KindPlayed  Kind = "played"  // its run directory is as it will be
	KindJudged  Kind = "judged"
	KindReduced Kind = "reduced" // of its evidence only verdict and description are left
)

// Entry is one line of the ledger.
type Entry struct {
	Kind Kind   `json:"kind"`
	Wall string `json:"wall"`
	Leg  int    `json:"leg,omitempty"`

	Made    bool   `json:"made,omitempty"` // the lab is a new one
	Message string `json:"message,omitempty"`

	Seed   uint64        `json:"seed,omitempty"`
	Dir    string        `json:"dir,omitempty"`    // the run directory, relative to the series'
	Played time.Duration `json:"played,omitempty"` // from the start of its run to the end
	Gap    time.Duration `json:"gap,omitempty"`    // since the load before it had stopped
	Error  string        `json:"error,omitempty"`  // why the run was not carried out as planned
	Tally  *crash.Tally  `json:"tally,omitempty"`

	Verdict    verify.Result            `json:"verdict,omitempty"`
	Reason     string                   `json:"reason,omitempty"`
	Checks     map[string]verify.Result `json:"checks,omitempty"`
	Operations int                      `json:"operations,omitempty"`
	Observed   int                      `json:"observed,omitempty"` // faults that the judge saw take effect
	Judging    time.Duration            `json:"judging,omitempty"`
	Bytes      int64                    `json:"bytes,omitempty"` // of evidence
}

func (e *Entry) check() error {
	known := false
	switch e.Kind {
	case KindLab, KindResumed:
		return nil
	case KindBegun, KindReduced:
		known = true
	case KindPlayed:
		known = e.Dir == "" || filepath.IsLocal(e.Dir)
	case KindJudged:
		known = e.Verdict != "" && e.Bytes >= 0
	}
	if !known || e.Leg < 1 || e.Played < 0 || e.Judging < 0 {
		return fmt.Errorf("a line of kind %q about leg %d says too little, or what cannot be", e.Kind, e.Leg)
	}
	return nil
}

// ledger is the file of entries, which is only added to.
type ledger struct{ f *os.File }

// openLedger opens the ledger of the series in dir, which it makes, and gives
// each entry to tell. A last line that a killed writer did not finish is cut off.
func openLedger(dir string, tell func(*Entry) error) (*ledger, error) {
	f, err := os.OpenFile(filepath.Join(dir, FileLedger), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	whole, err := scan(f, tell)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &ledger{f}, nil
}

// add stores an entry: when it returns, a power loss does not take it.
func (l *ledger) add(e *Entry) error {
	e.Wall = time.Now().UTC().Format(time.RFC3339Nano)
	e.Message, e.Error, e.Reason = cut(e.Message), cut(e.Error), cut(e.Reason)
	data, err := json.Marshal(e)
	if err == nil {
		_, err = l.f.Write(append(data, '\n'))
	}
	if err = errors.Join(err, l.f.Sync()); err != nil {
		return fmt.Errorf("write down leg %d in %s: %w", e.Leg, l.f.Name(), err)
	}
	return nil
}

// Entries gives each entry of the series in dir to tell, which may not keep it.
func Entries(dir string, tell func(*Entry) error) error {
	f, err := os.Open(filepath.Join(dir, FileLedger))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = scan(f, tell)
	return err
}

// scan reads entries, and gives the length of what is whole lines.
func scan(r io.Reader, tell func(*Entry) error) (whole int64, err error) {
	lines := newLines(r)
	for n := 1; ; n++ {
		line, err := lines.next()
		if err == io.EOF {
			return whole, nil
		}
		if err != nil {
			return whole, fmt.Errorf("read %s: line %d: %w", FileLedger, n, err)
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return whole, fmt.Errorf("read %s: line %d: %w; the file is damaged", FileLedger, n, err)
		}
		if err := e.check(); err != nil {
			return whole, fmt.Errorf("read %s: line %d: %w; the file is damaged", FileLedger, n, err)
		}
		if err := tell(&e); err != nil {
			return whole, fmt.Errorf("read %s: line %d: %w", FileLedger, n, err)
		}
		whole += int64(len(line))
	}
}

// Package series owns long runs: a series of legs on one living lab, each an
// ordinary run with a directory of its own, judged while the next one plays.
// What the series has come to is in files that are only added to, so that it
// goes on after a kill -9 where it was, and its memory does not grow.
package series

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Files of a series directory.
const (
	FilePlan    = "series.json" // written once
	FileLedger  = "legs.jsonl"  // only added to
	FileVerdict = history.FileVerdict
	FileReport  = history.FileReport
	DirLegs     = "legs" // legs/0001/RUN, a run directory
)

// DefaultLeg is how long the legs of a series are: the evidence of two minutes
// of saturated load is judged in seconds.
const DefaultLeg = 2 * time.Minute

// longest is the longest run that is not made a series of unasked.
const longest = 10 * time.Minute

// LegFor is how long the legs of a run of that duration are, 0 for a run that is
// no series. asked is what the user wants, negative for nothing.
func LegFor(duration, asked time.Duration) (time.Duration, error) {
	switch {
	case asked >= 0 && duration == 0:
		return 0, errors.New("legs are parts of a duration: say how long the run is")
	case asked == 0, asked < 0 && duration <= longest, asked >= duration:
		return 0, nil
	case asked < 0:
		return DefaultLeg, nil
	case asked < time.Second:
		return 0, fmt.Errorf("a leg of %v: must be at least 1s", asked)
	}
	return asked, nil
}

// Plan is series.json: what the series is to do, all that a later etcdlab needs
// to go on with it.
type Plan struct {
	Version int           `json:"version"` // 1
	Wall    string        `json:"wall"`    // when it was begun, RFC 3339 UTC
	Spec    string        `json:"spec"`    // the lab, as YAML
	Options crash.Options `json:"options"` // of the whole: its duration, its seed
	Leg     time.Duration `json:"leg"`
	// KeepClean and KeepOthers bound the evidence of legs that passed and of those
	// that did not, in bytes.
	KeepClean  int64 `json:"keepClean"`
	KeepOthers int64 `json:"keepOthers"`
	KeepLab    bool  `json:"keepLab,omitempty"` // it stays up at the end
}

// Lab is the lab that the series is played on.
func (p *Plan) Lab() (*spec.Lab, error) { return spec.Decode(FilePlan, []byte(p.Spec)) }

// LegSeed is the seed of a leg: small enough to be typed again, as that of the
// series.
func (p *Plan) LegSeed(leg int) uint64 {
	return seed.Of(p.Options.Seed, fmt.Sprintf("leg/%d", leg)) % 1_000_000_000_000
}

// next is how long the leg is that follows what was played; 0 is that there is
// none. The last one is up to half a leg longer or shorter.
func (p *Plan) next(played time.Duration) time.Duration {
	switch left := p.Options.Duration - played; {
	case left <= 0:
		return 0
	case left < p.Leg+p.Leg/2:
		return left
	}
	return p.Leg
}

// options are those of one leg, in its directory.
func (p *Plan) options(leg int, lasts time.Duration, dir string) crash.Options {
	o := p.Options
	o.Seed, o.Duration, o.Dir = p.LegSeed(leg), lasts, dir
	// Of flags that are said twice the last counts.
	o.Command = fmt.Sprintf("%s --duration %v --leg 0 --seed %d", p.Options.Command, lasts, o.Seed)
	return o
}

// legDir is where a leg's run directory is made, relative to the series'.
func legDir(leg int) string { return filepath.Join(DirLegs, fmt.Sprintf("%04d", leg)) }

func (p *Plan) check() error {
	if p.Version != 1 {
		return fmt.Errorf("it is of version %d, and this etcdlab knows 1", p.Version)
	}
	if p.Leg <= 0 || p.Options.Duration <= 0 {
		return fmt.Errorf("a leg of %v and a duration of %v: both must be more than 0", p.Leg, p.Options.Duration)
	}
	if p.KeepClean < 0 || p.KeepOthers < 0 {
		return errors.New("limits of the evidence must not be less than 0")
	}
	if _, err := p.Lab(); err != nil {
		return err
	}
	return p.Options.Check()
}

// DecodePlan reads series.json strictly: half a plan is none.
func DecodePlan(data []byte) (*Plan, error) {
	p := new(Plan)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(p)
	if err == nil {
		err = p.check()
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; was it written by another etcdlab?", FilePlan, err)
	}
	return p, nil
}

// ReadPlan reads the plan of the series in dir.
func ReadPlan(dir string) (*Plan, error) {
	data, err := os.ReadFile(filepath.Join(dir, FilePlan))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is no series of runs: it has no %s", dir, FilePlan)
	}
	if err != nil {
		return nil, err
	}
	return DecodePlan(data)
}

func (p *Plan) write(dir string) error {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return history.WriteFile(filepath.Join(dir, FilePlan), append(data, '\n'))
}

// Is says whether dir is a series'.
func Is(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, FilePlan))
	return err == nil
}

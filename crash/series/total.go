package series

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// Total is what a series has come to: its verdict.json.
type Total struct {
	Verdict    verify.Result  `json:"verdict"`
	Reason     string         `json:"reason,omitempty"`
	Scenario   string         `json:"scenario"`
	Etcd       string         `json:"etcd"`
	Provider   string         `json:"provider"`
	Seed       uint64         `json:"seed"`
	Operations int            `json:"operations"`
	Faults     int            `json:"faults"` // seen to take effect
	Tally      crash.Tally    `json:"tally"`  // over the time played
	Planned    float64        `json:"plannedSeconds"`
	Played     float64        `json:"playedSeconds"`
	Resumed    int            `json:"resumed"` // how often another etcdlab went on
	Labs       int            `json:"labs"`    // how often the lab was made
	Gap        *Spread        `json:"gapSeconds,omitempty"`
	Judging    float64        `json:"judgingRatio"` // time of judging to time played
	Checks     []verify.Check `json:"checks"`
	Legs       []LegView      `json:"legs"`
}

// Spread is of figures of many legs, in seconds.
type Spread struct {
	Median float64 `json:"median"`
	Most   float64 `json:"most"`
}

// LegView is one leg.
type LegView struct {
	Leg        int           `json:"leg"`
	Verdict    verify.Result `json:"verdict"`
	Reason     string        `json:"reason,omitempty"`
	Seed       uint64        `json:"seed"`
	RunDir     string        `json:"runDir"` // relative to the series'
	Kept       bool          `json:"kept"`   // its evidence is there
	Error      string        `json:"error,omitempty"`
	Lab        int           `json:"lab"` // the how manieth lab it was played on
	Seconds    float64       `json:"seconds"`
	Operations int           `json:"operations"`
	Faults     int           `json:"faults"`
	Verified   int           `json:"verifiedFaults"`
	Judging    float64       `json:"judgingSeconds"`
	Bytes      int64         `json:"bytes"`
}

// Why says what is not as it should be with the leg; "" is nothing.
func (l *LegView) Why() string {
	if l.Error != "" && l.Reason != "" {
		return l.Error + "; " + l.Reason
	}
	return cmp.Or(l.Error, l.Reason)
}

// Unjudged is what a leg is that nobody has judged yet.
const Unjudged verify.Result = "unjudged"

// Sum gives what the series in dir has come to, from what is stored there.
func Sum(dir string) (*Total, error) {
	p, err := ReadPlan(dir)
	if err != nil {
		return nil, err
	}
	t := &Total{Scenario: p.Options.Scenario, Seed: p.Options.Seed, Planned: p.Options.Duration.Seconds(), Checks: []verify.Check{}, Legs: []LegView{}}
	w := &summing{total: t, checks: newChecks()}
	if err := Entries(dir, w.tell); err != nil {
		return nil, err
	}
	w.end(p)
	for i := len(t.Legs) - 1; i >= 0 && t.Etcd == ""; i-- {
		if run, err := history.ReadRun(filepath.Join(dir, t.Legs[i].RunDir)); err == nil {
			t.Etcd, t.Provider = run.Etcd, run.Provider
		}
	}
	return t, nil
}

// summing makes a total of entries.
type summing struct {
	total  *Total
	state  state
	seed   uint64 // of the leg that is open
	gaps   []float64
	checks map[string]map[int]verify.Result // of each leg, by name
}

func (w *summing) tell(e *Entry) error {
	if err := w.state.tell(e); err != nil {
		return err
	}
	t := w.total
	switch e.Kind {
	case KindResumed:
		t.Resumed++
	case KindBegun:
		w.seed = e.Seed
	case KindPlayed:
		v := LegView{Leg: e.Leg, Verdict: Unjudged, Seed: w.seed, RunDir: e.Dir, Kept: true, Error: e.Error, Lab: w.state.Labs, Seconds: e.Played.Seconds()}
		if e.Tally != nil {
			v.Verified = e.Tally.Verified
		}
		t.Tally = add(t.Tally, e.Tally, w.state.Played)
		if e.Gap > 0 {
			w.gaps = append(w.gaps, e.Gap.Seconds())
		}
		t.Legs = append(t.Legs, v)
	case KindJudged:
		v := w.leg(e.Leg)
		v.Verdict, v.Reason, v.Operations, v.Faults, v.Judging, v.Bytes = e.Verdict, e.Reason, e.Operations, e.Observed, e.Judging.Seconds(), e.Bytes
		for _, results := range w.checks { // it may have been judged before
			delete(results, e.Leg)
		}
		for name, verdict := range e.Checks {
			if w.checks[name] == nil {
				w.checks[name] = map[int]verify.Result{}
			}
			w.checks[name][e.Leg] = verdict
		}
	case KindReduced:
		w.leg(e.Leg).Kept = false
	}
	return nil
}

// leg is one that was played: the state knows it.
func (w *summing) leg(n int) *LegView {
	i := len(w.total.Legs) - 1
	for w.total.Legs[i].Leg != n {
		i--
	}
	return &w.total.Legs[i]
}

func (w *summing) end(p *Plan) {
	t := w.total
	t.Labs, t.Played = w.state.Labs, w.state.Played.Seconds()
	var judging float64
	for _, l := range t.Legs {
		t.Operations += l.Operations
		t.Faults += l.Faults
		judging += l.Judging
	}
	if t.Played > 0 {
		t.Judging = judging / t.Played
	}
	if len(w.gaps) > 0 {
		slices.Sort(w.gaps)
		t.Gap = &Spread{w.gaps[len(w.gaps)/2], w.gaps[len(w.gaps)-1]}
	}
	for _, name := range slices.Sorted(maps.Keys(w.checks)) {
		if len(w.checks[name]) == 0 {
			continue
		}
		t.Checks = append(t.Checks, sumCheck(name, w.checks[name]))
	}
	t.Verdict, t.Reason = verdict(t.Legs, p, w.state.Played)
}

// worst orders verdicts as the judge does: a violation outweighs an error, and
// that a doubt.
var worst = []verify.Result{verify.Fail, verify.Error, verify.Inconclusive, Unjudged}

func sumCheck(name string, results map[int]verify.Result) verify.Check {
	legs := map[verify.Result][]int{}
	for leg, result := range results {
		legs[result] = append(legs[result], leg)
	}
	c := verify.Check{Name: name, Verdict: verify.Pass, Detail: fmt.Sprintf("pass in %s", counted(len(legs[verify.Pass])))}
	for _, v := range worst {
		if n := len(legs[v]); n > 0 {
			if c.Verdict == verify.Pass {
				c.Verdict = v
			}
			c.Detail += fmt.Sprintf(", %s in %s, the first leg %d", v, counted(n), slices.Min(legs[v]))
		}
	}
	return c
}

func counted(legs int) string {
	if legs == 1 {
		return "1 leg"
	}
	return fmt.Sprintf("%d legs", legs)
}

// verdict is that of the whole: that of its worst leg. Unknown is never pass.
func verdict(legs []LegView, p *Plan, played time.Duration) (verify.Result, string) {
	for _, bad := range worst {
		var n int
		var first *LegView
		for i := range legs {
			if legs[i].Verdict == bad {
				n++
				first = cmp.Or(first, &legs[i])
			}
		}
		if n == 0 {
			continue
		}
		if bad == Unjudged {
			return verify.Inconclusive, fmt.Sprintf("leg %d was not judged; `etcdlab run --resume` goes on", first.Leg)
		}
		return bad, fmt.Sprintf("%s of %d; leg %d: %s", counted(n), len(legs), first.Leg, first.Why())
	}
	if len(legs) == 0 {
		return verify.Inconclusive, "no leg was played"
	}
	if left := p.next(played); left > 0 {
		return verify.Inconclusive, fmt.Sprintf("%v of %v were played; `etcdlab run --resume` goes on", played.Round(time.Second), p.Options.Duration)
	}
	return verify.Pass, ""
}

// Write stores the total in the series' directory.
func (t *Total) Write(dir string) error {
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	if err := history.WriteFile(filepath.Join(dir, FileVerdict), append(b, '\n')); err != nil {
		return fmt.Errorf("store the verdict of the series: %w", err)
	}
	return nil
}

func newChecks() map[string]map[int]verify.Result { return map[string]map[int]verify.Result{} }

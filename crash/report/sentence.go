package report

import (
	"fmt"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// Sentence says the verdict in plain words: what was found, after what.
func Sentence(d Data) string {
	v := d.Verdict
	after := faults(rounds(d.Events), &d.Run)
	context := " The run had " + after + "."
	if after == "" {
		after, context = "a run without any fault", " No fault was seen to take effect."
	}
	switch v.Verdict {
	case verify.Pass:
		if resultOf(v, "durability") == verify.Pass && d.Load.Writes > 0 {
			return fmt.Sprintf("No acknowledged write was lost: %s in the recovered store, after %s.",
				acknowledged(d.Load.Writes), after)
		}
		return fmt.Sprintf("Every check passed, after %s.", after)
	case verify.Fail:
		return stop(failed(v)) + context
	case verify.Inconclusive:
		return "Neither proven nor refuted: " + stop(reason(v)) + context
	default:
		return "The run could not be judged: " + stop(reason(v))
	}
}

func acknowledged(n int) string {
	if n == 1 {
		return "the one acknowledged write is"
	}
	return number(n) + " acknowledged writes are all"
}

// resultOf is "" for a check that was not made.
func resultOf(v *verify.Verdict, name string) verify.Result {
	for _, c := range v.Checks {
		if c.Name == name {
			return c.Verdict
		}
	}
	return ""
}

// reason is the verdict's own, else that of the check that decided it.
func reason(v *verify.Verdict) string {
	if v.Reason != "" {
		return line(v.Reason)
	}
	for _, c := range v.Checks {
		if c.Verdict == v.Verdict {
			return line(c.Name + ": " + c.Detail)
		}
	}
	return "no check says why"
}

// failed names the checks that failed and how often, after what the reader
// wants to know first: whether that is about acknowledged writes.
func failed(v *verify.Verdict) string {
	var parts []string
	for _, c := range v.Checks {
		if c.Verdict != verify.Fail {
			continue
		}
		name := line(c.Name)
		if n := max(c.Total, len(c.Evidence)); n > 0 {
			name += " (" + counted(n, "finding", "findings") + ")"
		}
		parts = append(parts, name)
	}
	if len(parts) == 0 {
		return reason(v)
	}
	lead := "Whether acknowledged writes were lost is not known, but "
	switch resultOf(v, "durability") {
	case verify.Pass:
		lead = "No acknowledged write was lost, but "
	case verify.Fail:
		lead = "The recovered store is not what was acknowledged: "
	}
	return lead + and(parts) + " failed"
}

// worst is what decided a failure, which verify's reason tells after the name
// of its check.
func worst(v *verify.Verdict) string {
	if v.Verdict != verify.Fail || v.Reason == "" {
		return ""
	}
	for _, c := range v.Checks {
		if s, ok := strings.CutPrefix(v.Reason, c.Name+": "); ok && c.Verdict == verify.Fail {
			return line(s)
		}
	}
	return ""
}

// stop ends a sentence once.
func stop(s string) string {
	if strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// mapperProfile stands for a disk of device mapper, which keeps what came before
// a cut, flushed or not; package verify has it, too.
const mapperProfile = "dm"

// faults counts what was seen to take effect: "5 power losses of all members,
// in which 37 un-flushed disk writes were dropped and 4 torn".
func faults(all []*round, run *history.Run) string {
	type kind struct{ fault, whom string }
	var order []kind
	count := map[kind]int{}
	var dropped, torn, cuts, swallowed int
	for _, r := range all {
		if !r.Figures.Observed {
			continue
		}
		k := kind{r.Figures.Fault, whom(r.Figures.Targets, run)}
		if count[k] == 0 {
			order = append(order, k)
		}
		count[k]++
		cuts += len(r.Cuts)
		if len(r.Cuts) > 0 && r.Cuts[0].Profile == mapperProfile {
			swallowed += r.Figures.Dropped
			continue
		}
		dropped += r.Figures.Dropped
		torn += r.Figures.Torn
	}
	var parts []string
	for _, k := range order {
		w := wordsOf(k.fault)
		s := counted(count[k], w.one, w.many)
		if k.whom != "" {
			s += " " + w.done + " " + k.whom
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 || cuts == 0 {
		return and(parts)
	}
	if swallowed > 0 {
		return fmt.Sprintf("%s, in which %s swallowed after the cut", and(parts), counted(swallowed, "disk write was", "disk writes were"))
	}
	return fmt.Sprintf("%s, in which %s dropped and %s torn", and(parts),
		counted(dropped, "un-flushed disk write was", "un-flushed disk writes were"), number(torn))
}

// faultWords is how people say the catalogue's name.
type faultWords struct{ one, many, done string }

func wordsOf(fault string) faultWords {
	switch fault {
	case "power-loss":
		return faultWords{"power loss", "power losses", "of"}
	case "kill":
		return faultWords{"kill", "kills", "of"}
	case "io-error":
		return faultWords{"I/O error", "I/O errors", "on"}
	case "host-crash":
		return faultWords{"host crash", "host crashes", "of"}
	case "failpoint":
		return faultWords{"failpoint panic", "failpoint panics", "of"}
	}
	return faultWords{line(fault) + " fault", line(fault) + " faults", "of"}
}

// notes are what a reader must know of the evidence: what could not be read,
// and whether the run came to its end.
func notes(d Data) []string {
	var out []string
	for _, n := range d.Notes {
		out = append(out, line(n))
	}
	ended := false
	for _, e := range d.Events {
		if e.Kind == history.EventRunEnd {
			ended = true
			if e.Message != "" {
				out = append(out, "The run ended early: "+stop(line(e.Message)))
			}
		}
	}
	if !ended && len(d.Events) > 0 {
		out = append(out, "The run has no end: etcdlab was killed, or it is still running.")
	}
	return out
}

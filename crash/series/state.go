package series

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/etcdlab/etcdlab/crash/verify"
)

// state is what the entries so far come to. It does not grow with their number:
// of each leg there is something only until it was judged, and while its
// evidence is there.
type state struct {
	Legs   int // the number of the newest one
	Played time.Duration
	Labs   int // how often the lab was made
	// open is a leg that was begun and has not been played to its end; 0 is none.
	open int
	// spoilt says that a leg failed on the lab as it is.
	spoilt   bool
	pending  []Leg      // played and not judged, oldest first
	evidence []Evidence // of judged legs, whole, oldest first
}

// Leg is one that was played and is to be judged.
type Leg struct {
	N     int
	Dir   string // relative to the series'
	Error string
}

// Evidence is a judged leg's, with its size.
type Evidence struct {
	Leg     int
	Verdict verify.Result
	Bytes   int64
}

// tell takes an entry in; what cannot follow what was is an error.
func (s *state) tell(e *Entry) error {
	switch e.Kind {
	case KindLab:
		if e.Made {
			s.Labs++
			s.spoilt = false
		}
	case KindBegun:
		if e.Leg != s.upcoming() {
			return fmt.Errorf("leg %d is begun where leg %d is due", e.Leg, s.upcoming())
		}
		s.Legs, s.open = e.Leg, e.Leg
	case KindPlayed:
		if s.open != e.Leg {
			return fmt.Errorf("leg %d was played without having been begun", e.Leg)
		}
		s.open = 0
		s.Played += e.Played
		s.pending = append(s.pending, Leg{e.Leg, e.Dir, e.Error})
	case KindJudged:
		i := slices.IndexFunc(s.pending, func(l Leg) bool { return l.N == e.Leg })
		again := slices.IndexFunc(s.evidence, func(v Evidence) bool { return v.Leg == e.Leg })
		found := Evidence{e.Leg, e.Verdict, e.Bytes}
		switch {
		case i >= 0:
			s.pending = slices.Delete(s.pending, i, i+1)
			s.evidence = append(s.evidence, found)
		case again >= 0:
			s.evidence[again] = found
		default:
			return fmt.Errorf("leg %d was judged without its evidence", e.Leg)
		}
		s.spoilt = s.spoilt || e.Verdict == verify.Fail
	case KindReduced:
		i := slices.IndexFunc(s.evidence, func(v Evidence) bool { return v.Leg == e.Leg })
		if i < 0 {
			return fmt.Errorf("the evidence of leg %d was reduced before it was judged, or twice", e.Leg)
		}
		s.evidence = slices.Delete(s.evidence, i, i+1)
	}
	return nil
}

// upcoming is the leg that is played next.
func (s *state) upcoming() int {
	if s.open != 0 {
		return s.open
	}
	return s.Legs + 1
}

// surplus are the legs whose evidence is to go, in that order: of those that
// passed the oldest, all but the newest; of the others first those that showed no
// violation, and of the violations the newest, as what was found first is what
// the rest are likely to repeat.
func surplus(all []Evidence, keepClean, keepOthers int64) []Evidence {
	var clean, others []Evidence
	for _, e := range all {
		if e.Verdict == verify.Pass {
			clean = append(clean, e)
		} else {
			others = append(others, e)
		}
	}
	slices.SortFunc(clean, func(a, b Evidence) int { return cmp.Compare(b.Leg, a.Leg) })
	slices.SortFunc(others, func(a, b Evidence) int {
		return cmp.Or(cmp.Compare(rank(a.Verdict), rank(b.Verdict)), cmp.Compare(a.Leg, b.Leg))
	})
	return append(past(clean, keepClean), past(others, keepOthers)...)
}

// past are those that do not fit, of a list with the dearest first, which stays
// in any case: the last first.
func past(dear []Evidence, limit int64) (gone []Evidence) {
	var sum int64
	for i, e := range dear {
		if sum += e.Bytes; sum > limit && i > 0 {
			gone = slices.Clone(dear[i:])
			break
		}
	}
	slices.Reverse(gone)
	return gone
}

// rank orders verdicts by how dear their evidence is.
func rank(v verify.Result) int {
	switch v {
	case verify.Fail:
		return 0
	case verify.Error:
		return 1
	}
	return 2
}

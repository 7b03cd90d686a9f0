package traffic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// WatchStart is a kind of revision that watches begin at.
type WatchStart struct {
	Name string
	Doc  string
}

var watchStarts = []WatchStart{
	{"now", "from now on, no revision given"},
	{"near", "from 100 revisions before to 100 after the newest"},
	{"compacted", "the newest compaction or up to 100 before it"},
	{"compaction", "just the newest compaction: etcd still tells of it"},
	{"future", "up to 300 revisions after the newest"},
}

// WatchStarts lists what WatchFrom can name.
func WatchStarts() []WatchStart { return slices.Clone(watchStarts) }

func checkStarts(from map[string]int) error {
	var names []string
	total, known := 0, 0
	for _, s := range watchStarts {
		names = append(names, s.Name)
		if w, ok := from[s.Name]; ok {
			if w < 0 || w > maxWeight {
				return fmt.Errorf("watches from %s have weight %d: must be 0 to %d", s.Name, w, maxWeight)
			}
			total += w
			known++
		}
	}
	switch {
	case known < len(from):
		for name := range from {
			if !slices.Contains(names, name) {
				return fmt.Errorf("watches cannot begin at %q; they can at %s", name, strings.Join(names, ", "))
			}
		}
	case known > 0 && total == 0:
		return fmt.Errorf("no revision that watches begin at has a weight")
	}
	return nil
}

// starts are weights to draw from, in an order that does not depend on a map.
type starts struct {
	weights []int // of watchStarts
	total   int
}

func newStarts(from map[string]int) (s starts) {
	for _, k := range watchStarts {
		s.weights = append(s.weights, from[k.Name])
		s.total += from[k.Name]
	}
	return s
}

func (s starts) draw(r *rand.Rand) string {
	n := r.IntN(s.total)
	for i, w := range s.weights {
		if n -= w; n < 0 {
			return watchStarts[i].Name
		}
	}
	panic("unreachable: the weights sum to total")
}

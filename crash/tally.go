package crash

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/history"
)

// Tally counts the faults of a run. A fault is verified when it was seen to take
// effect and its targets were seen to serve after it was healed.
type Tally struct {
	Faults    int                 `json:"faults"`
	Verified  int                 `json:"verified"`
	Groups    map[fault.Group]int `json:"groups"`    // of the verified
	Seconds   float64             `json:"seconds"`   // from the first round's start to the last one's end
	PerSecond float64             `json:"perSecond"` // verified
	PerDay    int                 `json:"perDay"`
}

// TallyOf counts the faults of rounds; lasted is how long they took together.
func TallyOf(rounds []history.Figures, lasted time.Duration) Tally {
	t := Tally{Groups: map[fault.Group]int{}, Seconds: lasted.Seconds()}
	for i := range rounds {
		for _, in := range rounds[i].Injections() {
			if in.Skipped != "" || in.Fault == fault.NameNone {
				continue
			}
			t.Faults++
			if !in.Observed || !in.Recovered {
				continue
			}
			t.Verified++
			if k, err := fault.Find(in.Fault); err == nil {
				t.Groups[k.Group]++
			}
		}
	}
	if t.Seconds > 0 {
		t.PerSecond = float64(t.Verified) / t.Seconds
		t.PerDay = int(t.PerSecond * 86400)
	}
	return t
}

func (t Tally) String() string {
	groups := slices.SortedFunc(maps.Keys(t.Groups), func(a, b fault.Group) int {
		return cmp.Or(t.Groups[b]-t.Groups[a], strings.Compare(string(a), string(b)))
	})
	var shares []string
	for _, g := range groups {
		shares = append(shares, fmt.Sprintf("%s %d%%", g, (100*t.Groups[g]+t.Verified/2)/t.Verified))
	}
	s := fmt.Sprintf("%d of %d faults seen to take effect and recovered from, in %.0f s: %.2f a second, %d a day", t.Verified, t.Faults, t.Seconds, t.PerSecond, t.PerDay)
	if len(shares) > 0 {
		s += " (" + strings.Join(shares, ", ") + ")"
	}
	return s
}

package transcript

import (
	"io"
	"math"
	"math/rand/v2"
	"testing"
)

// Records that are late by less than the window come in order; no more than the
// window is held.
func TestMergeOrdersWhatIsLate(t *testing.T) {
	const n = 5000
	rng := rand.New(rand.NewPCG(1, 2))
	var behind int64
	made := func() source {
		i := int64(0)
		return func() (*Record, error) {
			if i++; i > n {
				return nil, io.EOF
			}
			at := i * 1e6
			behind++
			return &Record{Time: at - rng.Int64N(holdFor/2)}, nil
		}
	}
	last := int64(math.MinInt64)
	var count, most int64
	err := merge([]source{made(), made(), made()}, func(error) {}, func(r *Record) error {
		if r.Time < last {
			t.Fatalf("%d after %d", r.Time, last)
		}
		last = r.Time
		count++
		behind--
		most = max(most, behind)
		return nil
	})
	if err != nil || count != 3*n || most > 3*holdMax {
		t.Errorf("%d records, at most %d held, %v", count, most, err)
	}
}

package bugs

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/verify"
)

// Try is one run of a bug's scenario.
type Try struct {
	Bug  Bug
	Etcd string
	Seed uint64
}

// Bad says whether the bug is to be found.
func (t Try) Bad() bool { return t.Etcd == t.Bug.Bad }

// Outcome is what became of a try.
type Outcome struct {
	Try
	Err     error // it could not be carried out
	Verdict *verify.Verdict
	// Took is how long the run took, from the making of the lab to the verdict.
	Took   time.Duration
	RunDir string

	Found    bool
	Check    string // the first finding that looks like the bug's
	Evidence *verify.Evidence
}

// Odd says whether the outcome is one to look into: not as documented, or a
// failure that does not look like the bug.
func (o *Outcome) Odd() bool {
	return o.Err != nil || o.Found != o.Bad() || !o.Bad() && o.Verdict.Verdict == verify.Fail
}

// Run tries each bug on its bad and its good release with every seed, so many at
// a time, and tells every outcome. It ends early only when ctx does.
func Run(ctx context.Context, list []Bug, seeds []uint64, jobs int, do func(context.Context, Try) Outcome, tell func(*Outcome)) []Row {
	var tries []Try
	for _, b := range list {
		for _, version := range []string{b.Bad, b.Good} {
			for _, s := range seeds {
				tries = append(tries, Try{b, version, s})
			}
		}
	}
	outcomes := make([]*Outcome, len(tries))
	next := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range max(1, jobs) {
		wg.Go(func() {
			for i := range next {
				o := do(ctx, tries[i])
				o.Try = tries[i]
				if o.Err == nil {
					o.Check, o.Evidence = o.Bug.Found(o.Verdict)
					o.Found = o.Evidence != nil
				}
				mu.Lock()
				outcomes[i] = &o
				tell(&o)
				mu.Unlock()
			}
		})
	}
	for i := range tries {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	var rows []Row
	for _, b := range list {
		r := Row{Bug: b}
		for _, o := range outcomes {
			if o != nil && o.Bug.ID == b.ID {
				r.add(o)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// Row is what the tries of one bug came to.
type Row struct {
	Bug       Bug
	Bad, Good Count
	// Finds is how long each run took in which the bug was found on its bad
	// release, sorted.
	Finds []time.Duration
}

// Count is of the tries on one release.
type Count struct {
	Runs   int `json:"runs"`
	Found  int `json:"found"`
	Errors int `json:"errors,omitempty"` // runs that could not be carried out
	Others int `json:"others,omitempty"` // runs that failed otherwise, and not as the bug
}

func (r *Row) add(o *Outcome) {
	c := &r.Good
	if o.Bad() {
		c = &r.Bad
	}
	c.Runs++
	switch {
	case o.Err != nil:
		c.Errors++
	case o.Found:
		c.Found++
		if o.Bad() {
			r.Finds = append(r.Finds, o.Took)
			slices.Sort(r.Finds)
		}
	case o.Verdict.Verdict == verify.Fail:
		c.Others++
	}
}

// Median is how long it took to find the bug; 0: it was not found.
func (r *Row) Median() time.Duration {
	n := len(r.Finds)
	if n == 0 {
		return 0
	}
	return (r.Finds[(n-1)/2] + r.Finds[n/2]) / 2
}

// AsDocumented says whether the bug was found in at least nine of ten runs of
// its bad release and in none of its good one.
func (r *Row) AsDocumented() bool {
	return r.Bad.Runs > 0 && r.Good.Runs > 0 && 10*r.Bad.Found >= 9*r.Bad.Runs && r.Good.Found == 0 && r.Good.Errors == 0
}

func (c Count) String() string {
	s := fmt.Sprintf("%d of %d", c.Found, c.Runs)
	if c.Errors > 0 {
		s += fmt.Sprintf(", %d broken off", c.Errors)
	}
	if c.Others > 0 {
		s += fmt.Sprintf(", %d failed otherwise", c.Others)
	}
	return s
}

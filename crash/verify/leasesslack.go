package verify

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

const (
	// expiryTick is how often the leader looks for leases that are over.
	expiryTick = second / 2
	// expiryTries is how often ending a lease may fail in a cluster that serves:
	// the leader tries again after its request time-out.
	expiryTries = 2
	// expirySpare is for machines on which a second lasts longer.
	expirySpare = 5 * second
	// expiryRate is how many leases a second a slow disk ends at least; etcd
	// itself ends up to 1000, 16 at a time.
	expiryRate = 250
	// renewalMayTake is how long after its client gave up a keep-alive may still
	// take effect: a member forwards it for its whole request time-out.
	renewalMayTake = 15 * second
	// copyMayTake is how long after the end state was asked for the members' data
	// may have been copied, in which time leases go on ending.
	copyMayTake = 60 * second
)

// leaseSlack are times of the run's members, in nanoseconds.
type leaseSlack struct {
	election int64 // the longest election time-out
	request  int64 // how long a member tries to have a request done
	minTTL   int64 // seconds: what a granted TTL is raised to
	skew     int64 // percent: how much faster the run lets clocks run
}

// newLeaseSlack reads the members' command lines. etcd raises a TTL to one and a
// half election time-outs, gives a request 5 s and two election time-outs, and
// adds one to every lease when a new leader takes over.
func newLeaseSlack(run *history.Run) leaseSlack {
	s := leaseSlack{}
	if slices.Contains(strings.Split(run.Fault, ","), "clock-skew") {
		s.skew = 12 // a tenth is the most; of what remains that is more
	}
	for i := range run.Members {
		s.election = max(s.election, electionTimeout(run.Members[i].Args))
	}
	s.request = 5*second + 2*s.election
	s.minTTL = int64(math.Ceil(float64(3*s.election) / 2 / float64(second)))
	return s
}

func electionTimeout(args []string) int64 {
	for i, a := range args {
		name, value, joined := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if name != "election-timeout" {
			continue
		}
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		if ms, err := strconv.Atoi(value); err == nil {
			return int64(ms) * int64(time.Millisecond)
		}
	}
	return second // etcd's default
}

// grace is how long a lease may be there after its last renewal, or after a new
// leader took over, before the leader must begin to end it.
func (s leaseSlack) grace(ttl int64) int64 { return ttl*second + s.election + expiryTick }

// patience is how long ending it may take a cluster that nothing disturbs, of
// which others may be over at the same time. It counts over all the times that
// nothing disturbs: each of them begins with a leader that looks for what is over.
func (s leaseSlack) patience(others int) int64 {
	return expiryTries*s.request + expirySpare + int64(others)*second/expiryRate
}

// stale is how much sooner than promised a lease may end when the leader changed
// after its renewal: the old one may have gone on renewing until it noticed.
func (s leaseSlack) stale() int64 { return 2*s.election + 3*second }

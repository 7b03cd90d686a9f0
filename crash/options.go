package crash

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Options are one run on a lab.
type Options struct {
	Scenario string // its name in the evidence; "crash" when none
	// Schedule is what the rounds do, one step each and again from the first.
	Schedule []spec.Step
	Seed     uint64
	// Rounds is how many there are; 0 is once through the schedule or, with a
	// duration, as many as fit.
	Rounds int
	// Every is the least time from the start of one round to that of the next.
	Every time.Duration
	// Traffic is the load; zero is the default profile, with 16 clients.
	Traffic traffic.Profile
	Clients int     // in place of the profile's, if not 0
	Rate    float64 // operations a second, in place of the profile's if not 0
	// Profile is armed on every disk once the members serve; "" leaves it.
	Profile string
	// Duration is how long the load runs at least, the rounds' faults spread
	// evenly over it; 0 is as long as the rounds take.
	Duration time.Duration
	// Budget is how long after the start of the load rounds may begin; 0 is
	// without end.
	Budget time.Duration
	// OpsBefore and OpsAfter are the acknowledged operations that a round
	// waits for before its fault and after the recovery; 0 is 1,000 and 300.
	OpsBefore, OpsAfter int
	// RecoverWithin bounds the wait for a restarted member to serve; 0 is 30 s.
	RecoverWithin time.Duration
	// Checks are those that must come to a verdict; none is all.
	Checks []string
	// KeepDiskLogs stores each cut's write log in the run directory.
	KeepDiskLogs bool

	Dir     string // of runs; the run makes a directory of its own in it
	Command string // reproduces the run
	// Binaries gives other releases of etcd for a member, for faults that change
	// them; nil is none.
	Binaries func(ctx context.Context, member, version string) (lab.Binaries, error) `json:"-"`
	Tool     string                                                                  // etcdlab's version
	// Progress is told what is going on, a line each.
	Progress func(format string, args ...any) `json:"-"`
}

// AllPoints stands for every failpoint of the binary.
const AllPoints = "*"

// maxRate is more than any etcd does.
const maxRate = 1e9

// maxDuration bounds a run's duration: more has not been thought of.
const maxDuration = 30 * 24 * time.Hour

// loops is how many clients there are on so many members.
func (o Options) loops(members int) int {
	if o.Clients > 0 {
		return o.Clients
	}
	return o.Traffic.Clients + o.Traffic.PerMember*members
}

// rate is what bounds the load, operations a second; 0 is nothing.
func (o Options) rate() float64 {
	if o.Rate > 0 {
		return o.Rate
	}
	return o.Traffic.Rate
}

// Check says what is wrong with the options, before anything is made for them.
func (o Options) Check() error {
	_, err := o.withDefaults()
	return err
}

func (o Options) withDefaults() (Options, error) {
	if o.Scenario == "" {
		o.Scenario = "crash"
	}
	if len(o.Schedule) == 0 {
		return o, errors.New("the run has no schedule: say which fault")
	}
	if o.Rounds == 0 && (o.Duration == 0 || schedule.Quiet(o.Schedule)) {
		o.Rounds = len(o.Schedule)
	}
	if o.Rounds < 0 || o.Rounds > 1_000_000 {
		return o, fmt.Errorf("%d rounds: must be 0, for as many as fit the duration, to 1,000,000", o.Rounds)
	}
	if o.Traffic.Name == "" && len(o.Traffic.Mix) == 0 {
		var err error
		if o.Traffic, err = traffic.Find(""); err != nil {
			return o, err
		}
		if o.Clients == 0 {
			o.Clients = 16
		}
	}
	if err := o.Traffic.Check(); err != nil {
		return o, err
	}
	if o.Duration < 0 || o.Duration > maxDuration {
		return o, fmt.Errorf("a duration of %v: must be 0 to %v", o.Duration, maxDuration)
	}
	if o.Every < 0 || o.Budget < 0 || o.RecoverWithin < 0 {
		return o, errors.New("every, budget and recover must not be less than 0")
	}
	if o.Clients < 0 || o.Clients > 4096 {
		return o, fmt.Errorf("%d clients: must be 0, for the profile's, to 4096", o.Clients)
	}
	if !(o.Rate >= 0 && o.Rate <= maxRate) { // NaN is neither
		return o, fmt.Errorf("a rate of %g operations a second: must be 0 to %g", o.Rate, float64(maxRate))
	}
	o.OpsBefore = scaled(o.OpsBefore, 1000, o.rate())
	o.OpsAfter = scaled(o.OpsAfter, 300, o.rate())
	if o.RecoverWithin == 0 {
		o.RecoverWithin = 30 * time.Second
	}
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	return o, nil
}

// scaled is a number of operations to wait for: what was asked, or the default,
// but under a rate limit no more than two seconds' worth.
func scaled(asked, normal int, rate float64) int {
	if asked > 0 {
		return asked
	}
	if rate > 0 {
		return max(1, min(normal, int(2*rate)))
	}
	return normal
}

// RandomSeed is a seed for a run that was given none; it is small enough to be
// typed again.
func RandomSeed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return binary.LittleEndian.Uint64(b[:]) % 1_000_000_000
}

package lab

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Limits are what an etcd may use; zero is no limit.
type Limits struct {
	CPU    float64 `json:"cpu,omitempty"`    // processors: 0.1 is a tenth of one
	Memory int64   `json:"memory,omitempty"` // bytes; with more the kernel kills it
	Files  int     `json:"files,omitempty"`  // file descriptors
}

// Check says what is wrong with limits.
func (l Limits) Check() error {
	switch {
	case !(l.CPU >= 0 && l.CPU <= 1024): // NaN is neither
		return fmt.Errorf("cpu %v: want processors, such as 0.1, or 0 for all", l.CPU)
	case l.CPU > 0 && l.CPU < 0.01:
		return fmt.Errorf("cpu %v: at least 0.01", l.CPU)
	case l.Memory < 0:
		return fmt.Errorf("memory %d: must not be negative", l.Memory)
	case l.Files < 0 || l.Files > math.MaxInt32:
		return fmt.Errorf("files %d: must be 0 to %d", l.Files, math.MaxInt32)
	}
	return nil
}

// Limited are the limits in force with what came of them since they were set.
type Limited struct {
	Limits
	By        string `json:"by,omitempty"`        // of CPU: cpu.max, cpu.cfs_quota_us, or freezer: a part of each 50 ms frozen
	Throttled int64  `json:"throttled,omitempty"` // times that etcd was kept from running
	OOMKills  int64  `json:"oomKills,omitempty"`  // processes that the kernel killed for the limit
	Open      int    `json:"open,omitempty"`      // descriptors that etcd has open now
}

// Limiter bounds what etcd may use. Limits hold for every etcd that is started
// until they are taken off; `up` takes them off.
type Limiter interface {
	// SetLimits replaces the limits; zero takes all of them off.
	SetLimits(ctx context.Context, l Limits) error
	Limits(ctx context.Context) (Limited, error)
}

// Clock is how a member's wall clock differs from the controller's.
type Clock struct {
	Offset time.Duration `json:"offset"` // how far it is ahead
	Rate   float64       `json:"rate"`   // how much faster it runs: 0.05 is 5 %; at most a tenth either way
}

// Clocker sets the wall clock of a member that has one of its own.
type Clocker interface {
	SetClock(ctx context.Context, c Clock) error
	Clock(ctx context.Context) (Clock, error)
}

// NoClock is why a member does not have a clock of its own.
const NoClock = "it shares the clock of its machine: time namespaces do not cover CLOCK_REALTIME, and a preloaded library does not reach a static Go binary; use provider vm"

// Package clock owns the one clock of the evidence: CLOCK_MONOTONIC in
// nanoseconds, shared by every process of a machine, so that the times written
// by the controller, the agents and the disk engines can be compared as they
// are. Code that is tested against time takes a Clock instead of calling Now.
package clock

import "time"

// Clock returns nanoseconds of CLOCK_MONOTONIC.
type Clock func() int64

// Since returns the time that has passed since start, a value of Now.
func Since(start int64) time.Duration { return time.Duration(Now() - start) }

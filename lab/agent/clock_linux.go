package agent

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/lab"
)

// tick is what the kernel adds to the clock at each of 100 ticks a second, in
// microseconds, when it runs at its right speed (adjtimex(2)).
const tick = 10_000

// ownClock says why this member's clock is not the agent's to set.
func (a *Agent) ownClock() error {
	if a.cfg.dir != guestDir {
		return a.lacks("Clocker", lab.NoClock)
	}
	return nil
}

// SetClock steps the wall clock and sets its speed. Times of evidence are the
// controller's, which this does not touch.
func (a *Agent) SetClock(_ context.Context, c lab.Clock) error {
	if err := a.ownClock(); err != nil {
		return err
	}
	t := unix.Timex{Modes: unix.ADJ_TICK, Tick: int64(tick * (1 + c.Rate))}
	if _, err := unix.Adjtimex(&t); err != nil {
		return fmt.Errorf("set the speed of the clock of %s: %w", a.cfg.Member, err)
	}
	to := unix.NsecToTimespec(time.Now().Add(c.Offset).UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &to); err != nil {
		return fmt.Errorf("set the clock of %s: %w", a.cfg.Member, err)
	}
	return nil
}

// Clock is what the machine's clock differs by from itself: nothing. The client
// compares it with its own.
func (a *Agent) Clock(context.Context) (lab.Clock, error) {
	if err := a.ownClock(); err != nil {
		return lab.Clock{}, err
	}
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return lab.Clock{}, fmt.Errorf("read the speed of the clock of %s: %w", a.cfg.Member, err)
	}
	return lab.Clock{Rate: float64(t.Tick)/tick - 1}, nil
}

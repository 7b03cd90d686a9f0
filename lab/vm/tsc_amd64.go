//go:build linux

package vm

import (
	"fmt"
	"time"

	"github.com/etcdlab/etcdlab/internal/clock"
)

// rdtsc reads the processor's time-stamp counter.
func rdtsc() int64

// tscParameter tells the guest's kernel how fast the counter runs. It would find
// out with timers that QEMU emulates, and on a machine with much to do it gets
// it wrong: of 12 guests one had a clock that ran four times too fast. Under TCG
// the guest's counter is the host's.
func tscParameter() string {
	const span = 20 * time.Millisecond
	c1, t1 := tscNow()
	time.Sleep(span)
	c2, t2 := tscNow()
	khz := (c2 - c1) * 1_000_000 / (t2 - t1)
	if khz < 100_000 || khz > 20_000_000 {
		return "" // a counter that is none
	}
	return fmt.Sprintf("tsc_early_khz=%d", khz)
}

// tscNow is the counter with the time at which it was read, the one of some
// tries between which least time has passed.
func tscNow() (counter, at int64) {
	best := int64(1 << 62)
	for range 20 {
		before := clock.Now()
		c := rdtsc()
		after := clock.Now()
		if after-before < best {
			best, counter, at = after-before, c, before+(after-before)/2
		}
	}
	return counter, at
}

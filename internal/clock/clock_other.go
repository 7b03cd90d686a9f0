//go:build !linux

package clock

import "time"

var start = time.Now()

// Now returns nanoseconds of a monotonic clock that starts with the process:
// off Linux only the controller runs, so no other process's times are compared
// with it.
func Now() int64 { return int64(time.Since(start)) + 1 }

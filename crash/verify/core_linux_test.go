package verify

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// oneCore keeps this process and the children that it starts to one core until
// the benchmark ends.
func oneCore(b *testing.B) {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		b.Fatal(err)
	}
	for cpu := range len(all) * 64 {
		if all.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	procs := runtime.GOMAXPROCS(1)
	// Threads are set one by one, and new ones inherit from the one that makes
	// them, which is any.
	if err := eachThread(func(tid int) error { return unix.SchedSetaffinity(tid, &one) }); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		runtime.GOMAXPROCS(procs)
		if err := eachThread(func(tid int) error { return unix.SchedSetaffinity(tid, &all) }); err != nil {
			b.Error(err)
		}
	})
}

// eachThread calls f with every thread of this process, twice: the second time
// finds those that the first has missed.
func eachThread(f func(tid int) error) error {
	for range 2 {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			if err := f(tid); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

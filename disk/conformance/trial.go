package conformance

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// Failures runs the suite on a front that has a bug, and returns what the tests
// that find it say, each with its test's name. It fails nothing: a front whose bug
// nobody finds has no failures, and that is for the caller to judge.
func Failures(t testing.TB, make Factory) []string {
	var found []string
	for _, tt := range tests {
		found = append(found, try(t, tt.name, func(t testing.TB) {
			if f := make(t); f.has(tt.needs...) {
				tt.run(t, f)
			}
		})...)
	}
	return found
}

// trial is a test whose failure is a result.
type trial struct {
	testing.TB // the real one, for all that is no verdict
	name       string

	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func try(t testing.TB, name string, run func(testing.TB)) []string {
	tr := &trial{TB: t, name: name}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer tr.cleanUp()
		run(tr)
	}()
	<-done
	return tr.failures
}

// cleanUp runs the cleanups, the last one first, each to its end or its Fatal.
func (t *trial) cleanUp() {
	for _, f := range slices.Backward(t.cleanups) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			f()
		}()
		<-done
	}
}

func (t *trial) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *trial) fail(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, t.name+": "+text)
}

func (t *trial) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.failures) > 0
}

func (t *trial) Name() string               { return t.name }
func (t *trial) Fail()                      { t.fail("failed") }
func (t *trial) Error(a ...any)             { t.fail(fmt.Sprint(a...)) }
func (t *trial) Errorf(f string, a ...any)  { t.fail(fmt.Sprintf(f, a...)) }
func (t *trial) FailNow()                   { t.Fail(); runtime.Goexit() }
func (t *trial) Fatal(a ...any)             { t.Error(a...); runtime.Goexit() }
func (t *trial) Fatalf(f string, a ...any)  { t.Errorf(f, a...); runtime.Goexit() }
func (t *trial) SkipNow()                   { runtime.Goexit() }
func (t *trial) Skip(...any)                { runtime.Goexit() }
func (t *trial) Skipf(string, ...any)       { runtime.Goexit() }
func (t *trial) Log(a ...any)               {}
func (t *trial) Logf(f string, args ...any) {}

package images

import (
	"fmt"
	"strings"
)

// Kind sorts failures by who can do something about them, so that the command
// line can pick its exit code.
type Kind int

const (
	// Usage is a request that can never be met: an unknown version, a broken
	// tree. Exit code 2.
	Usage Kind = iota + 1
	// Environment is something this machine lacks: the go command, a newer Go,
	// the network. Exit code 3.
	Environment
	// Build is a go command that failed although all it needs was there, or a
	// result that is not what it should be. Exit code 5.
	Build
)

// Error says what could not be done, to what, why, and what to do next.
type Error struct {
	Kind   Kind
	Op     string // build, list failpoints, remove, ...
	Object string // a version, a directory, a key
	Reason string
	Next   string // what to do about it, possibly empty
	Output string // the end of a failed command's output, possibly empty
	Err    error  // the cause, possibly nil
}

// Error gives one line, then the failed command's output, indented, if any.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s", e.Op, e.Object, e.Reason)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Next != "" {
		fmt.Fprintf(&b, "; %s", e.Next)
	}
	for line := range strings.Lines(e.Output) {
		fmt.Fprintf(&b, "\n    %s", strings.TrimRight(line, "\n"))
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

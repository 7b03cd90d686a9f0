package lab

import (
	"errors"
	"fmt"
)

// ErrNotFound says that no lab has that name.
var ErrNotFound = errors.New("no such lab")

// SpecChangedError is what Up of an existing lab gives when the spec, or the
// binaries it stands for, are not those the lab was made of.
type SpecChangedError struct {
	Lab  string
	Diff string // lines; - is the lab as it is, + what was asked for
}

func (e *SpecChangedError) Error() string {
	return fmt.Sprintf("lab %s exists with another spec; take it down first (etcdlab down %s), or use another name:\n%s", e.Lab, e.Lab, e.Diff)
}

// UsageError marks what the user asked for and cannot have: a name, a subnet in
// use, a command that is not there (exit code 2).
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

func (e *UsageError) Unwrap() error { return e.Err }

// Misuse makes a *UsageError, as fmt.Errorf does.
func Misuse(format string, args ...any) error {
	return &UsageError{fmt.Errorf(format, args...)}
}

// EnvironmentError says that this machine lacks something (exit code 3).
type EnvironmentError struct {
	Check  string // what was looked at: "root", "/dev/fuse"
	Found  string
	Needed string
	Get    string // how to get it
}

func (e *EnvironmentError) Error() string {
	return fmt.Sprintf("%s: found %s, need %s; %s", e.Check, e.Found, e.Needed, e.Get)
}

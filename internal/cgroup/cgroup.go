// Package cgroup owns control groups as etcdlab uses them: to hold the
// processes of one member together, to freeze them and see them frozen, and to
// kill them to the last one. It works on cgroup v2, pure or hybrid, on the v1
// freezer, and with signals where there is neither, with one observed and bounded
// freeze over all.
package cgroup

import (
	"errors"
	"time"
)

// Version of a hierarchy, as it appears in the evidence.
type Version string

const (
	V1 Version = "v1" // the freezer controller's own hierarchy
	V2 Version = "v2" // the unified hierarchy, alone or beside v1 (hybrid)
	// Stop is no hierarchy: SIGSTOP to every process, where no control group
	// can be made.
	Stop Version = "stop"
)

// EnvFreezer names the environment variable that forces a version.
const EnvFreezer = "ETCDLAB_FREEZER"

// ErrNone says that the machine has no hierarchy that can freeze.
var ErrNone = errors.New("no cgroup hierarchy that can freeze: need cgroup v2 (mount -t cgroup2 none /sys/fs/cgroup/unified) or the v1 freezer")

// Frozen is what Freeze saw.
type Frozen struct {
	Observed bool // every task is frozen
	Blocked  int  // tasks in uninterruptible I/O, if not
	Running  int  // tasks that are neither frozen nor blocked, at the deadline
	Took     time.Duration
}

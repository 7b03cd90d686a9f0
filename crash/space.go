package crash

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/lab"
)

// roomForRun is what a short run needs, in bytes: its history, and a copy of the
// members' data without holes.
const roomForRun = 64 << 20

// roomPerSecond is what a second of load may add, in bytes: some 1,500
// operations and what a dozen watchers are told of them.
const roomPerSecond = 1 << 20

// mostData is what the copies of three members' logs and dbs come to after a long
// run, in bytes: etcd keeps five segments of 64 MiB.
const mostData = 1200 << 20

// CheckDir says what keeps run directories from being made in dir, which it
// makes: better before a lab is made for a run than after. The run's load is to
// last for so long; 0 is a short run.
func CheckDir(dir string, duration time.Duration) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return lab.Misuse("make the directory of runs: %w; choose another with --run-dir", err)
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return lab.Misuse("write to the directory of runs %s: %w; choose another with --run-dir", dir, err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look for room in %s: %w; choose another with --run-dir", dir, err)
	}
	load := uint64(roomPerSecond * duration.Seconds())
	need := roomForRun + load + min(load, mostData)
	if free := fs.Bavail * uint64(fs.Bsize); free < need {
		return &lab.EnvironmentError{
			Check: "room for the run in " + dir, Found: fmt.Sprintf("%d MiB free", free>>20), Needed: fmt.Sprintf("%d MiB", need>>20),
			Get: "free some space, or choose another directory with --run-dir",
		}
	}
	return nil
}

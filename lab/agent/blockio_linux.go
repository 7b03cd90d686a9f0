package agent

import (
	"errors"
	"os"

	"github.com/etcdlab/etcdlab/internal/blockio"
)

// helperBlockIO serves a block device of this machine on standard input and
// output, so that the suite for disks can speak to a member's disk from outside.
const helperBlockIO = "blockio" // [--cached] DEVICE

func serveBlockIO(args []string) error {
	cached := len(args) == 2 && args[0] == "--cached"
	if cached {
		args = args[1:]
	}
	if len(args) != 1 {
		return errors.New("usage: " + helperBlockIO + " [--cached] DEVICE")
	}
	return blockio.ServeFile(args[0], cached, os.Stdin, os.Stdout)
}

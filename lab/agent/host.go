package agent

import (
	"context"

	"github.com/etcdlab/etcdlab/lab"
)

// Host is a member's machine as the controller sees it: what an agent serves
// over HTTP, and what Client is at the other end of that. The agent beside etcd
// is one; the agent beside a virtual machine is another, which passes on to the
// agent inside what only that can do.
type Host interface {
	lab.Runner
	lab.Pauser
	lab.Linker
	lab.PowerCutter
	lab.DiskFaulter
	lab.NetShaper
	lab.Archiver
	lab.Logger
	lab.LogTrimmer
	lab.Execer
	processHost
	filesHost
	Status(ctx context.Context) (Status, error)
	// Shutdown ends etcd and takes everything off that the host holds; with
	// discard nobody needs the data.
	Shutdown(ctx context.Context, discard bool) error
}

// At is where an agent answers: a directory with its unix socket, or an address
// with mutual TLS 1.3.
type At struct {
	Dir     string
	Address string        // host:port
	TLS     *lab.TLSFiles // the controller's certificate for agents; with Address
}

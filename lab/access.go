package lab

import (
	"context"
	"io"
)

// Logger gives etcd's log.
type Logger interface {
	// Logs writes the log of all of the member's etcds, as it is now, or with
	// follow on and on until ctx ends.
	Logs(ctx context.Context, w io.Writer, follow bool) error
}

// LogTrimmer forgets what etcd has logged: a lab may live for days.
type LogTrimmer interface {
	// TrimLog empties the log; whoever follows it goes on with what comes.
	TrimLog(ctx context.Context) error
}

// Execer runs commands on the member's host.
type Execer interface {
	// Exec runs a command in the member's network, with its own etcdctl and
	// etcdutl first in PATH and set up to speak to it. in may be nil. exit is
	// the command's status, 128 and the signal's number if one ended it; the
	// error says why it could not run.
	Exec(ctx context.Context, argv []string, in io.Reader, out, errout io.Writer) (exit int, err error)
}

// Console is the machine's own serial console.
type Console interface {
	// Console writes what the machine has printed since it was made, over all
	// boots, and with in, sends what is typed; it ends with ctx, or, without
	// follow, at the end of what there is.
	Console(ctx context.Context, in io.Reader, out io.Writer, follow bool) error
}

// HostCrash is a way in which a whole machine ends, its disk's power aside.
type HostCrash string

const (
	HostPanic HostCrash = "panic" // its kernel panics (sysrq c)
	HostReset HostCrash = "reset" // it is reset, or reboots at once (sysrq b)
	HostHang  HostCrash = "hang"  // it stands still and answers nothing
)

// HostCrashes lists them all.
var HostCrashes = []HostCrash{HostPanic, HostReset, HostHang}

// HostCrasher ends the member's machine. It loses the page cache but not what
// the disk's cache holds, so this is no power loss.
type HostCrasher interface {
	// CrashHost returns when the machine was seen to have ended, or to hang.
	CrashHost(ctx context.Context, how HostCrash) error
	// Boot brings the machine back: its disk mounted, its etcd not started.
	// A file system that does not mount is an *UnmountableError.
	Boot(ctx context.Context) error
}

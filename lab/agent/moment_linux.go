package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// metaBytes is where bbolt's two meta pages are in its file, whose pages are the
// machine's.
func metaBytes() int64 { return 2 * int64(os.Getpagesize()) }

// holdWithin is how long after a moment that etcd is seen at a hold waits for the
// first flush.
const holdWithin = 100 * time.Millisecond

// TriggerOf is the operation of the disk that a moment is; false if it is not one.
func TriggerOf(at lab.Moment) (disk.Fault, bool) {
	switch at.At {
	case lab.AtFlush:
		return disk.Fault{Op: disk.OpFlush, File: at.File, Nth: at.Nth}, true
	case lab.AtMeta:
		return disk.Fault{Op: disk.OpWrite, File: lab.FileDB, Length: metaBytes(), Nth: at.Nth}, true
	}
	return disk.Fault{}, false
}

// HoldAt waits for a moment, and lets no flush complete from then on. Moments of
// the disk are the operation itself; what happens to names is told by the kernel
// once it has happened, and that etcd has ended once it is reaped.
func (a *Agent) HoldAt(ctx context.Context, at lab.Moment, longest time.Duration) (held lab.Held, err error) {
	start := time.Now()
	defer func() { held.Took = time.Since(start) }()
	d, err := a.faultable("EventHolder")
	if err != nil {
		return held, err
	}
	if f, ok := TriggerOf(at); ok {
		if reason := LacksOf(a.cfg.Disk.Kind, a.cfg.Disk.FS)["EventHolder"]; reason != "" && f.File != "" {
			return held, a.lacks("EventHolder", reason)
		}
		held, err = d.holdAt(ctx, f, longest)
		if held.Fired {
			a.setHolding(true)
		}
		return held, err
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if err := a.moment(ctx, at); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		return held, err
	}
	if a.cfg.Disk.Kind == KindDevice {
		return lab.Held{Fired: true}, nil // whoever has the power holds
	}
	a.setHolding(true)
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), holdWithin)
	defer cancel()
	held, err = d.hold(ctx, holdWithin)
	held.Fired = true
	return held, err
}

// moment waits for what etcd does.
func (a *Agent) moment(ctx context.Context, at lab.Moment) error {
	member := filepath.Join(a.cfg.DataDir, "member")
	switch at.At {
	case lab.AtExit:
		if p := a.current(); p != nil {
			return p.wait(ctx)
		}
		return nil
	case lab.AtWALRoll:
		return renamed(ctx, filepath.Join(member, "wal"), ".wal", at.Nth)
	case lab.AtSnapRename:
		return renamed(ctx, filepath.Join(member, "snap"), "", at.Nth)
	}
	return at.Check()
}

// renamed waits until the nth file has got a name with that end in a directory.
func renamed(ctx context.Context, dir, end string, nth uint64) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	defer f.Close()
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO|unix.IN_ONLYDIR); err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Now()) })
	defer stop()
	buf := make([]byte, 64<<10)
	for seen := uint64(0); ; {
		n, err := f.Read(buf)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
		for _, name := range movedTo(buf[:n]) {
			if !strings.HasSuffix(name, end) {
				continue
			}
			if seen++; seen >= nth {
				return nil
			}
		}
	}
}

// movedTo are the names in what an inotify descriptor gave (inotify(7)).
func movedTo(b []byte) (names []string) {
	for len(b) >= unix.SizeofInotifyEvent {
		mask, n := binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint32(b[12:])
		b = b[unix.SizeofInotifyEvent:]
		if uint32(len(b)) < n {
			return names
		}
		if mask&unix.IN_MOVED_TO != 0 {
			name, _, _ := strings.Cut(string(b[:n]), "\x00")
			names = append(names, name)
		}
		b = b[n:]
	}
	return names
}

package fuse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stepTime bounds each step of CleanUp: a device whose server is gone can
// block anything that touches it.
const stepTime = 5 * time.Second

// CleanUp removes what Attach made at dir when the process that served it is
// gone: it ends the FUSE connection, so that nothing waits for an answer any
// longer, unmounts what is mounted from loop devices over dir, detaches them,
// and unmounts dir. Nothing to remove is success. It goes on after a step that
// fails and returns every failure.
func CleanUp(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("clean up %s: %w", dir, err)
	}
	var errs []error
	step := func(what string, f func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, stepTime)
		defer cancel()
		if err := f(ctx); err != nil {
			errs = append(errs, fmt.Errorf("clean up %s: %s: %w", dir, what, err))
		}
	}
	mounts, err := readMounts()
	if err != nil {
		return fmt.Errorf("clean up %s: %w", dir, err)
	}
	for _, m := range mounts {
		if m.dir == dir && m.kind == "fuse."+fsName {
			abort(m.minor)
			// The forced unmount ends the connection, too, where fusectl
			// is not mounted. Busy is what it says while a loop device
			// holds the file.
			step("end the FUSE connection", func(ctx context.Context) error {
				err := within(ctx, func() error { return unix.Unmount(dir, unix.MNT_FORCE) })
				if errors.Is(err, unix.EBUSY) {
					return nil
				}
				return err
			})
		}
	}
	loops, err := loopsOver(dir)
	if err != nil {
		errs = append(errs, err)
	}
	for _, l := range loops {
		for _, m := range mounts {
			// By number, too: a container may have made its own node.
			if m.source != l.path() && (m.major != loopMajor || m.minor != l.number) {
				continue
			}
			step("unmount "+m.dir, func(ctx context.Context) error {
				return within(ctx, func() error { return unix.Unmount(m.dir, unix.MNT_DETACH) })
			})
		}
		step("detach "+l.path(), func(ctx context.Context) error {
			return errors.Join(l.makeNode(), l.detach(ctx))
		})
	}
	for _, m := range mounts {
		if m.dir == dir && m.kind == "fuse."+fsName {
			step("unmount FUSE", func(ctx context.Context) error {
				err := within(ctx, func() error { return unix.Unmount(dir, unix.MNT_DETACH) })
				if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
					return nil
				}
				return err
			})
		}
	}
	return errors.Join(errs...)
}

// abort ends a FUSE connection, whose number is the minor device number of its
// mount. Without fusectl, or when the connection is gone, there is no file.
func abort(connection int) {
	path := fmt.Sprintf("/sys/fs/fuse/connections/%d/abort", connection)
	if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
		_, _ = f.WriteString("1")
		_ = f.Close()
	}
}

// loopsOver finds the loop devices whose file is in dir.
func loopsOver(dir string) ([]*loopDevice, error) {
	found, err := filepath.Glob("/sys/block/loop*")
	if err != nil {
		return nil, err
	}
	var loops []*loopDevice
	for _, path := range found {
		n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), "loop"))
		if err != nil {
			continue
		}
		l := &loopDevice{number: n, file: filepath.Join(dir, FileName)}
		if b := l.backing(); filepath.Dir(b) == dir {
			l.file = b
		}
		if l.ours() {
			loops = append(loops, l)
		}
	}
	return loops, nil
}

// mount is a line of /proc/self/mountinfo.
type mount struct {
	major, minor      int
	dir, kind, source string
}

func readMounts() ([]mount, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMounts(string(b)), nil
}

// parseMounts parses the format of proc_pid_mountinfo(5) and leaves out lines
// that are not in it.
func parseMounts(s string) []mount {
	var out []mount
	for line := range strings.Lines(s) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 2 {
			continue
		}
		var m mount
		if n, _ := fmt.Sscanf(l[2], "%d:%d", &m.major, &m.minor); n != 2 {
			continue
		}
		m.dir, m.kind, m.source = unescape(l[4]), r[0], unescape(r[1])
		out = append(out, m)
	}
	return out
}

// unescape undoes the octal escapes of blanks and backslashes.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

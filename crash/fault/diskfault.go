package fault

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// ParseDiskFault reads a disk fault as the command line takes it: an operation
// and conditions, such as "flush", "write,nth=3,count=1" or
// "read,range=1MiB+64KiB,for=2s" or "write,file=wal,do=lose,share=10%". A file is
// one of lab.Files, and a range beside it is one of the file. Without count and
// for it lasts until healed.
func ParseDiskFault(s string) (disk.Fault, error) {
	op, rest, conditions := strings.Cut(s, ",")
	f := disk.Fault{Op: disk.Operation(op)}
	switch f.Op {
	case disk.OpRead, disk.OpWrite, disk.OpFlush:
	default:
		return f, fmt.Errorf("disk fault %q: it begins with read, write or flush, not %q", s, op)
	}
	for c := range strings.SplitSeq(rest, ",") {
		if !conditions {
			break
		}
		name, value, _ := strings.Cut(c, "=")
		var err error
		switch name {
		case "nth":
			f.Nth, err = positive(value)
		case "count":
			f.Count, err = positive(value)
		case "for":
			f.For, err = time.ParseDuration(value)
			if err == nil && f.For <= 0 {
				err = fmt.Errorf("must be more than 0")
			}
		case "range":
			f.Offset, f.Length, err = parseRange(value)
		case "file":
			f.File, err = value, lab.CheckFile(value)
		case "do":
			f.Action, err = disk.Action(value), word(actions()...).Check(value)
		case "share":
			f.Share, err = parsePercent(value)
			if err == nil && f.Share == 0 {
				err = fmt.Errorf("must be more than 0%%")
			}
		case "delay":
			f.Action = disk.ActDelay
			f.Delay, err = time.ParseDuration(value)
		case "shift":
			f.Action = disk.ActMisdirect
			f.Shift, err = parseShift(value)
		default:
			err = fmt.Errorf("unknown condition; the conditions are nth, count, for, range, file, do, share, delay and shift")
		}
		if err != nil {
			return f, fmt.Errorf("disk fault %q: %s: %w", s, c, err)
		}
	}
	if f.Op == disk.OpFlush && f.Length > 0 && f.File == "" {
		return f, fmt.Errorf("disk fault %q: a flush has no range", s)
	}
	if err := disk.CheckFault(f); err != nil {
		return f, fmt.Errorf("disk fault %q: %w", s, err)
	}
	return f, nil
}

func actions() (words []string) {
	for _, a := range disk.Actions {
		words = append(words, string(a))
	}
	return words
}

// parseShift reads a size with or without a minus.
func parseShift(s string) (int64, error) {
	bare, minus := strings.CutPrefix(s, "-")
	n, err := spec.ParseSize(bare)
	if minus {
		n = -n
	}
	return int64(n), err
}

func positive(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && n == 0 {
		err = fmt.Errorf("must be at least 1")
	}
	return n, err
}

// parseRange reads OFFSET+LENGTH, both in bytes or with a unit.
func parseRange(s string) (offset, length int64, err error) {
	from, size, ok := strings.Cut(s, "+")
	if !ok {
		return 0, 0, fmt.Errorf("want OFFSET+LENGTH, such as 1MiB+64KiB")
	}
	var o, l spec.Size
	if from != "0" {
		if o, err = spec.ParseSize(from); err != nil {
			return 0, 0, err
		}
	}
	if l, err = spec.ParseSize(size); err != nil {
		return 0, 0, err
	}
	if o < 0 || l <= 0 || int64(o)+int64(l) < int64(o) {
		return 0, 0, fmt.Errorf("the length must be more than 0, and the end fit 63 bits")
	}
	return int64(o), int64(l), nil
}

package dm

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseTarget reads the parameters of a segment, as a table line gives them.
func ParseTarget(kind, params string) (Target, error) {
	f := fields{words: strings.Fields(params)}
	var t Target
	switch kind {
	case "linear":
		t = Linear{f.number(), f.uint(64)}
	case "error":
		t = Error{}
	case "flakey":
		t = f.flakey()
	case "delay":
		t = f.delay()
	case "log-writes":
		t = LogWrites{f.number(), f.number()}
	default:
		return nil, fmt.Errorf("read a segment of type %q: it is none that etcdlab makes", kind)
	}
	if f.err == nil && len(f.words) > 0 {
		f.err = fmt.Errorf("%q is left over", strings.Join(f.words, " "))
	}
	if f.err != nil {
		return nil, fmt.Errorf("read the %s segment %q: %w", kind, params, f.err)
	}
	return t, nil
}

// DelayStatus is how many operations a delay target holds back.
type DelayStatus struct{ Reads, Writes, Flushes uint64 }

// ParseDelayStatus reads the status line of a delay segment.
func ParseDelayStatus(line string) (DelayStatus, error) {
	f := fields{words: strings.Fields(line)}
	s := DelayStatus{f.uint(32), f.uint(32), f.uint(32)}
	if f.err == nil && len(f.words) > 0 {
		f.err = fmt.Errorf("%q is left over", strings.Join(f.words, " "))
	}
	if f.err != nil {
		return DelayStatus{}, fmt.Errorf("read the delay status %q: %w", line, f.err)
	}
	return s, nil
}

// LogStatus is how far a log-writes target has come.
type LogStatus struct {
	Entries uint64
	End     uint64 // the last sector of the log that is in use
	// Disabled says that it has stopped to record: the log device is full or
	// failed.
	Disabled bool
}

// ParseLogStatus reads the status line of a log-writes segment.
func ParseLogStatus(line string) (LogStatus, error) {
	words := strings.Fields(line)
	s := LogStatus{}
	if n := len(words); n == 3 && words[2] == "logging_disabled" {
		s.Disabled, words = true, words[:2]
	}
	f := fields{words: words}
	s.Entries, s.End = f.uint(64), f.uint(64)
	if f.err == nil && len(f.words) > 0 {
		f.err = fmt.Errorf("%q is left over", strings.Join(f.words, " "))
	}
	if f.err != nil {
		return LogStatus{}, fmt.Errorf("read the log-writes status %q: %w", line, f.err)
	}
	return s, nil
}

// Counters are a region's, counted by device mapper itself.
type Counters struct {
	Reads, ReadSectors, Writes, WriteSectors uint64
}

// ParseCounters reads what @stats_print gives: a line for each area of a
// region, as in Linux's Documentation/admin-guide/device-mapper/statistics.rst.
// An operation is counted when it ends, failed or not; a flush without data
// never.
func ParseCounters(text string) (c Counters, err error) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) < 8 || !strings.Contains(words[0], "+") {
			return Counters{}, fmt.Errorf("read the counters %q: want START+LENGTH and at least 7 numbers", strings.TrimSpace(line))
		}
		f := fields{words: words[1:]}
		reads, _, readSectors, _ := f.uint(64), f.uint(64), f.uint(64), f.uint(64)
		writes, _, writeSectors := f.uint(64), f.uint(64), f.uint(64)
		if f.err != nil {
			return Counters{}, fmt.Errorf("read the counters %q: %w", strings.TrimSpace(line), f.err)
		}
		c.Reads += reads
		c.ReadSectors += readSectors
		c.Writes += writes
		c.WriteSectors += writeSectors
	}
	return c, nil
}

// parseStat reads /sys/block/DEV/stat: reads and writes that have ended, in
// that order. A flush without data counts as a write of nothing.
func parseStat(text string) (reads, writes uint64, err error) {
	f := fields{words: strings.Fields(text)}
	if len(f.words) < 11 {
		return 0, 0, fmt.Errorf("read the block statistics %q: want at least 11 numbers", text)
	}
	reads, _, _, _ = f.uint(64), f.uint(64), f.uint(64), f.uint(64)
	writes = f.uint(64)
	if f.err != nil {
		return 0, 0, fmt.Errorf("read the block statistics %q: %w", text, f.err)
	}
	return reads, writes, nil
}

// fields takes words from a line; the first that is wrong is its error.
type fields struct {
	words []string
	err   error
}

func (f *fields) next() string {
	if len(f.words) == 0 {
		if f.err == nil {
			f.err = fmt.Errorf("it is too short")
		}
		return ""
	}
	w := f.words[0]
	f.words = f.words[1:]
	return w
}

func (f *fields) uint(bits int) uint64 {
	w := f.next()
	if f.err != nil {
		return 0
	}
	n, err := strconv.ParseUint(w, 10, bits)
	if err != nil {
		f.err = fmt.Errorf("%q is no number that fits", w)
	}
	return n
}

func (f *fields) number() Number {
	w := f.next()
	if f.err != nil {
		return Number{}
	}
	n, err := ParseNumber(w)
	if err != nil {
		f.err = err
	}
	return n
}

func (f *fields) flakey() Target {
	t := Flakey{Dev: f.number(), Offset: f.uint(64)}
	t.Up, t.Down = time.Duration(f.uint(32))*time.Second, time.Duration(f.uint(32))*time.Second
	if len(f.words) == 0 {
		return t
	}
	// The kernel counts the words of the features, but for corrupt_bio_byte
	// some versions count it as one, others as five.
	f.uint(32)
	for len(f.words) > 0 && f.err == nil {
		switch w := f.next(); w {
		case "drop_writes":
			t.DropWrites = true
		case "error_writes":
			t.ErrorWrites = true
		case "error_reads":
			t.ErrorReads = true
		case "corrupt_bio_byte":
			c := Corrupt{Nth: uint32(f.uint(32))}
			direction := f.next()
			if direction != "r" && direction != "w" && f.err == nil {
				f.err = fmt.Errorf("direction %q is neither r nor w", direction)
			}
			c.Write = direction == "w"
			c.Value, c.Flags = uint8(f.uint(8)), uint32(f.uint(32))
			t.Corrupt = &c
		default:
			f.err = fmt.Errorf("feature %q is unknown", w)
		}
	}
	return t
}

func (f *fields) delay() Target {
	t := Delay{}
	for i, d := range []*time.Duration{&t.Read, &t.Write, &t.Flush} {
		// One triple is for all three, two are for reads and the rest.
		if i > 0 && len(f.words) == 0 {
			switch i {
			case 1:
				t.Write, t.Flush = t.Read, t.Read
			case 2:
				t.Flush = t.Write
			}
			return t
		}
		dev, offset := f.number(), f.uint(64)
		*d = time.Duration(f.uint(32)) * time.Millisecond
		if i == 0 {
			t.Dev, t.Offset = dev, offset
		} else if f.err == nil && (dev != t.Dev || offset != t.Offset) {
			f.err = fmt.Errorf("it delays operations of two devices")
		}
	}
	return t
}

package dm

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Target is what a segment of a device does.
type Target interface {
	Type() string
	Params() string
}

// Segment is a range of a device, in sectors.
type Segment struct {
	Start, Length uint64
	Target        Target
}

// Table is a whole device: its segments follow one another without a gap.
type Table []Segment

// Check fails on a table that the kernel would refuse without saying why.
func (t Table) Check() error {
	at := uint64(0)
	for i, s := range t {
		if s.Start != at || s.Length == 0 {
			return fmt.Errorf("segment %d of the table is at sector %d with %d sectors: want some, at %d", i, s.Start, s.Length, at)
		}
		if f, ok := s.Target.(Flakey); ok {
			if err := f.check(); err != nil {
				return fmt.Errorf("segment %d of the table: %w", i, err)
			}
		}
		at += s.Length
	}
	if at == 0 {
		return fmt.Errorf("the table is empty")
	}
	return nil
}

// String is the table as dmsetup takes it.
func (t Table) String() string {
	var b strings.Builder
	for _, s := range t {
		b.WriteString(strings.TrimSpace(fmt.Sprintf("%d %d %s %s", s.Start, s.Length, s.Target.Type(), s.Target.Params())) + "\n")
	}
	return b.String()
}

// Linear passes everything on.
type Linear struct {
	Dev    Number
	Offset uint64 // sectors
}

func (Linear) Type() string     { return "linear" }
func (l Linear) Params() string { return fmt.Sprintf("%v %d", l.Dev, l.Offset) }

// Error fails every read and write with EIO. It is not asked to flush.
type Error struct{}

func (Error) Type() string   { return "error" }
func (Error) Params() string { return "" }

// Flakey is healthy for Up, broken for Down, and again; with Up 0 it is broken
// all the time. Without a feature it fails everything while it is broken.
type Flakey struct {
	Dev         Number
	Offset      uint64
	Up, Down    time.Duration // whole seconds
	DropWrites  bool          // they succeed, and so do flushes, and change nothing
	ErrorWrites bool          // they fail, and so do flushes
	ErrorReads  bool          // from Linux 6.5 on
	Corrupt     *Corrupt
}

// Corrupt changes one byte of a bio's data. Kernels before 6.16 accept it for
// reads and do nothing (measured on 6.1): their target looks for the data where
// there is none left.
type Corrupt struct {
	Nth   uint32 // byte of the bio, from 1
	Write bool   // of writes rather than reads
	Value uint8
	Flags uint32 // only of bios with all of these flags
}

// Always is a broken time without an end.
const Always = 1 << 30 * time.Second

func (Flakey) Type() string { return "flakey" }

func (f Flakey) Params() string {
	var features []string
	for _, x := range []struct {
		on   bool
		name string
	}{{f.DropWrites, "drop_writes"}, {f.ErrorWrites, "error_writes"}, {f.ErrorReads, "error_reads"}} {
		if x.on {
			features = append(features, x.name)
		}
	}
	if c := f.Corrupt; c != nil {
		direction := "r"
		if c.Write {
			direction = "w"
		}
		features = append(features, "corrupt_bio_byte", strconv.FormatUint(uint64(c.Nth), 10), direction,
			strconv.FormatUint(uint64(c.Value), 10), strconv.FormatUint(uint64(c.Flags), 10))
	}
	s := fmt.Sprintf("%v %d %d %d", f.Dev, f.Offset, f.Up/time.Second, f.Down/time.Second)
	if len(features) > 0 {
		s += fmt.Sprintf(" %d %s", len(features), strings.Join(features, " "))
	}
	return s
}

func (f Flakey) check() error {
	switch {
	case f.Up < 0 || f.Down < 0 || f.Up%time.Second != 0 || f.Down%time.Second != 0:
		return fmt.Errorf("flakey up %v and down %v: want whole seconds", f.Up, f.Down)
	case f.Up+f.Down == 0 || (f.Up+f.Down)/time.Second > 1<<32-1:
		return fmt.Errorf("flakey up %v and down %v: want 1 to %d seconds together", f.Up, f.Down, uint32(1<<32-1))
	case f.DropWrites && f.ErrorWrites:
		return fmt.Errorf("flakey drops writes or fails them, not both")
	case f.Corrupt != nil && f.Corrupt.Nth == 0:
		return fmt.Errorf("flakey corrupts byte 0 of a bio: the first is 1")
	case f.Corrupt != nil && f.Corrupt.Write && (f.DropWrites || f.ErrorWrites):
		return fmt.Errorf("flakey corrupts writes or loses them, not both")
	}
	return nil
}

// Delay makes each kind of operation wait.
type Delay struct {
	Dev                Number
	Offset             uint64
	Read, Write, Flush time.Duration // whole milliseconds
}

func (Delay) Type() string { return "delay" }

func (d Delay) Params() string {
	one := func(t time.Duration) string { return fmt.Sprintf("%v %d %d", d.Dev, d.Offset, t/time.Millisecond) }
	return one(d.Read) + " " + one(d.Write) + " " + one(d.Flush)
}

// LogWrites passes everything on and records writes, discards, flushes and
// marks on Log, which it writes from its beginning whenever it is loaded.
type LogWrites struct{ Dev, Log Number }

func (LogWrites) Type() string     { return "log-writes" }
func (l LogWrites) Params() string { return fmt.Sprintf("%v %v", l.Dev, l.Log) }

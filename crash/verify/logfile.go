package verify

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// logPatterns are what a healthy etcd never logs. Levels are zap's, as JSON and
// as console text; the words are etcd's own (server/etcdserver/corrupt.go and
// the alarm of server/etcdserver/server.go).
var logPatterns = []struct{ text, means string }{
	{`"level":"panic"`, "panicked"},
	{"\tpanic\t", "panicked"},
	{`"level":"fatal"`, "gave up"},
	{"\tfatal\t", "gave up"},
	{"WARNING: DATA RACE", "has a data race"},
	{"found data inconsistency with peers", "found its data corrupt"},
	{"found hash mismatch", "found its data corrupt"},
	{"found different hash values from remote peer", "found its data corrupt"},
	{"compaction hash mismatch", "found its data corrupt"},
	{"CORRUPT", "raised a corruption alarm"},
}

// linePrefixes are the Go runtime's last words.
var linePrefixes = []struct{ text, means string }{
	{"panic: ", "panicked"},
	{"fatal error: ", "crashed"},
	{"unexpected fault address", "crashed"},
}

// expected are deaths that the run asked for.
var expected = []struct{ fault, text string }{
	{"", "failpoint panic: "}, // gofail's words
	{"io-error", "input/output error"},
	{"io-error", "read-only file system"}, // what ext4 makes of it
	{"fd-limit", "too many open files"},
	{"fsync-once", "input/output error"},
	{"fsync-once", "read-only file system"},
	{"disk-full", "no space left on device"},
}

// gofail's panic unlocks what it unwinds past, and others of the same process may
// trip over it before that is gone; starts is what the next one says first.
const (
	failpointPanic = "panic: failpoint panic: "
	starts         = `"msg":"Running: "`
)

// diskErrors are deaths for want of a disk. Where the run does not make them, an
// agent that was killed or a host without space does, and etcd is right to die.
var diskErrors = []string{"input/output error", "read-only file system", "no space left on device", "transport endpoint is not connected"}

// timeLayouts are those of etcd's logger, with and without a colon in the zone.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"}

// logReader goes through a member's log. A lab outlives its runs and the log is
// the lab's: what was logged before the run began is another run's.
type logReader struct {
	fault   string
	since   time.Time    // zero: all of it counts
	wrong   [2]time.Time // when its data was wrong by the run's doing: what it then says of that it owes
	others  bool         // then that of another was wrong, and only what it finds of that is owed
	stamp   string       // of the last line that has a time
	excused []string     // zap repeats a panic's message, without its error, to the runtime
	noDisk  string       // the first line of a death that the run did not ask the disk for
	dying   bool         // of a failpoint
	pending []alarmed    // since a panic whose death may yet be told to be a failpoint's
}

// alarmed is a line that says something is wrong.
type alarmed struct {
	n           int64
	means, line string
	panic       bool
}

// maxPending is how many lines wait for the end of a death.
const maxPending = 100

// read calls found with every line that says something is wrong.
func (l *logReader) read(path string, found func(n int64, means, line string)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 64<<10)
	for n := int64(1); ; n++ {
		line, err := readLine(in)
		if at := stamp(line); at != "" {
			l.stamp = at
		}
		means := l.alarming(line)
		if l.dying || strings.Contains(line, starts) || len(l.pending) == maxPending {
			l.settle(found)
		}
		if means != "" && l.inRun() && !l.owed(means) {
			l.pending = append(l.pending, alarmed{n, means, line, strings.HasPrefix(line, "panic: ")})
			if !l.pending[0].panic {
				l.settle(found)
			}
		}
		if err != nil {
			l.settle(found)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// settle tells of the lines that waited. What panics of a failpoint gives locks
// back as it dies, and others may panic of what they then see, and be told first.
func (l *logReader) settle(found func(n int64, means, line string)) {
	for _, a := range l.pending {
		if !a.panic || !l.dying {
			found(a.n, a.means, a.line)
		}
	}
	l.pending = l.pending[:0]
}

// stamp is a line's time as text; "" if it has none, as the runtime's lines.
func stamp(line string) string {
	if _, rest, ok := strings.Cut(line, `"ts":"`); ok {
		at, _, _ := strings.Cut(rest, `"`)
		return at
	}
	if at, _, ok := strings.Cut(line, "\t"); ok && len(at) > 10 && at[4] == '-' && at[10] == 'T' {
		return at
	}
	return ""
}

// inRun says whether the last time seen is the run's; an unreadable one is.
func (l *logReader) inRun() bool {
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, l.stamp); err == nil {
			return !at.Before(l.since)
		}
	}
	return true
}

// owed says whether the line is what a member owes whose data is wrong.
func (l *logReader) owed(means string) bool {
	if l.wrong[0].IsZero() || l.others && !strings.Contains(means, "corrupt") {
		return false
	}
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, l.stamp); err == nil {
			return !at.Before(l.wrong[0]) && !at.After(l.wrong[1])
		}
	}
	return false
}

// longLine is where a line is cut, in bytes.
const longLine = 64 << 10

// readLine gives a line without its end, and no more of a long one than counts.
func readLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if room := longLine - len(line); room > 0 {
			line = append(line, part[:min(room, len(part))]...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return strings.TrimRight(string(line), "\r\n"), err
		}
	}
}

// maxLine bounds what is quoted of a log.
const maxLine = 300

func clip(line string) string {
	line = strings.TrimSpace(line)
	if len(line) > maxLine {
		line = line[:maxLine] + " ..."
	}
	return strings.ToValidUTF8(line, "?")
}

// alarming says what is wrong with a line; "" for nothing.
func (l *logReader) alarming(line string) (means string) {
	bare := strings.TrimLeft(line, " \t") // the runtime indents panics of panics
	switch {
	case strings.HasPrefix(bare, failpointPanic):
		l.dying = true
	case strings.Contains(line, starts):
		l.dying = false
	}
	for _, p := range linePrefixes {
		if strings.HasPrefix(bare, p.text) {
			means = p.means
		}
	}
	for _, p := range logPatterns {
		if means == "" && strings.Contains(line, p.text) {
			means = p.means
		}
	}
	if means == "" {
		return ""
	}
	for _, e := range expected {
		if (e.fault == "" || slices.Contains(strings.Split(l.fault, ","), e.fault)) && strings.Contains(line, e.text) {
			l.excuse(line)
			return ""
		}
	}
	if noDisk(line) {
		l.excuse(line)
		if l.noDisk == "" && l.inRun() {
			l.noDisk = line
		}
		return ""
	}
	if l.dying && strings.HasPrefix(bare, "panic: ") {
		return ""
	}
	for _, text := range l.excused {
		if strings.HasPrefix(bare, "panic: "+text) {
			return ""
		}
	}
	if l.again(line) {
		l.excuse(line)
		return ""
	}
	return means
}

// again says whether a line is etcd's scheduler telling of a panic that was
// excused and goes through it: "execute job failed".
func (l *logReader) again(line string) bool {
	var entry struct{ Panic string }
	if json.Unmarshal([]byte(line), &entry) != nil {
		return false
	}
	return slices.ContainsFunc(l.excused, func(text string) bool { return strings.HasPrefix(entry.Panic, text) })
}

// noDisk says whether a line tells of a death for want of a disk. One that is cut
// short does, too: there was no room for the rest of it.
func noDisk(line string) bool {
	for _, text := range diskErrors {
		if strings.Contains(line, text) {
			return true
		}
	}
	return strings.HasPrefix(line, "{") && len(line) < longLine && !json.Valid([]byte(line))
}

func (l *logReader) excuse(line string) {
	var entry struct{ Msg string }
	if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg != "" {
		if !slices.Contains(l.excused, entry.Msg) {
			l.excused = append(l.excused, entry.Msg)
		}
	}
}

package dm

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTargetsComeBack(t *testing.T) {
	d := Number{254, 16}
	for want, target := range map[string]Target{
		"254:16 0":                    Linear{d, 0},
		"254:16 2048":                 Linear{d, 2048},
		"":                            Error{},
		"254:16 0 0 60":               Flakey{Dev: d, Down: time.Minute},
		"254:16 8 3 1 1 error_writes": Flakey{Dev: d, Offset: 8, Up: 3 * time.Second, Down: time.Second, ErrorWrites: true},
		"254:16 0 0 1 1 drop_writes":  Flakey{Dev: d, Down: time.Second, DropWrites: true},
		"254:16 0 0 1 1 error_reads":  Flakey{Dev: d, Down: time.Second, ErrorReads: true},
		"254:16 0 0 1 5 corrupt_bio_byte 32 r 1 0": Flakey{Dev: d, Down: time.Second, Corrupt: &Corrupt{Nth: 32, Value: 1}},
		"254:16 0 0 1 5 corrupt_bio_byte 224 w 0 32": Flakey{Dev: d, Down: time.Second,
			Corrupt: &Corrupt{Nth: 224, Write: true, Flags: 32}},
		"254:16 0 5 254:16 0 70 254:16 0 0": Delay{Dev: d, Read: 5 * time.Millisecond, Write: 70 * time.Millisecond},
		"254:16 254:32":                     LogWrites{d, Number{254, 32}},
	} {
		if got := target.Params(); got != want {
			t.Errorf("%T is %q, want %q", target, got, want)
		}
		got, err := ParseTarget(target.Type(), want)
		if err != nil || !cmp.Equal(got, target) {
			t.Errorf("%s %q is read as %+v, %v", target.Type(), want, got, err)
		}
	}
}

func TestTargetsThatAreNone(t *testing.T) {
	for _, bad := range [][2]string{
		{"linear", "254:16"}, {"linear", "254:16 -1"}, {"linear", "254:16 0 0"}, {"linear", "sda 0"}, {"error", "x"},
		{"flakey", "254:16 0 1"}, {"flakey", "254:16 0 0 1 1 eat_writes"}, {"flakey", "254:16 0 0 1 5 corrupt_bio_byte 1 x 0 0"},
		{"flakey", "254:16 0 0 99999999999"}, {"delay", "254:16 0 5 254:17 0 5"}, {"log-writes", "254:16"}, {"snapshot", ""},
	} {
		if got, err := ParseTarget(bad[0], bad[1]); err == nil {
			t.Errorf("%v is read as %+v", bad, got)
		}
	}
}

func TestTablesThatAreNone(t *testing.T) {
	l := Linear{}
	for name, table := range map[string]Table{
		"empty":      {},
		"gap":        {{0, 8, l}, {16, 8, l}},
		"overlap":    {{0, 8, l}, {4, 8, l}},
		"nothing":    {{0, 0, l}},
		"both":       {{0, 8, Flakey{Down: time.Second, DropWrites: true, ErrorWrites: true}}},
		"no time":    {{0, 8, Flakey{}}},
		"half":       {{0, 8, Flakey{Down: time.Second / 2}}},
		"byte 0":     {{0, 8, Flakey{Down: time.Second, Corrupt: &Corrupt{}}}},
		"lost twice": {{0, 8, Flakey{Down: time.Second, DropWrites: true, Corrupt: &Corrupt{Nth: 1, Write: true}}}},
	} {
		if table.Check() == nil {
			t.Errorf("%s: it passes", name)
		}
	}
}

func TestStatusLines(t *testing.T) {
	if s, err := ParseDelayStatus("1 2 3"); err != nil || s != (DelayStatus{1, 2, 3}) {
		t.Error(s, err)
	}
	if s, err := ParseLogStatus("7 120"); err != nil || s != (LogStatus{7, 120, false}) {
		t.Error(s, err)
	}
	if s, err := ParseLogStatus("7 120 logging_disabled"); err != nil || s != (LogStatus{7, 120, true}) {
		t.Error(s, err)
	}
	for _, bad := range []string{"", "1", "1 x", "1 2 3 4", "1 2 x"} {
		if _, err := ParseLogStatus(bad); err == nil {
			t.Errorf("log status %q is read", bad)
		}
	}
	// The example of statistics.rst.
	c, err := ParseCounters("0+8 3 0 24 1 10 2 80 5 0 0 1 1 2 3\n8+8 1 0 8 1 0 0 0 0 0 0 0 0 0 0\n")
	if want := (Counters{Reads: 4, ReadSectors: 32, Writes: 10, WriteSectors: 80}); err != nil || c != want {
		t.Error(c, err)
	}
	if _, err := ParseCounters("0+8 3 0\n"); err == nil {
		t.Error("a short line is read")
	}
	r, w, err := parseStat("      40        0     2032       10       12        5      136        8        0       20       18        0 0 0 0 0 0\n")
	if r != 40 || w != 12 || err != nil {
		t.Error(r, w, err)
	}
}

func TestNumbers(t *testing.T) {
	for _, bad := range []string{"", "1", "a:b", "1:", "9999:1", "1:-1", "254:16:1"} {
		if n, err := ParseNumber(bad); err == nil {
			t.Errorf("%q is read as %v", bad, n)
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add("flakey", "254:16 0 0 1 5 corrupt_bio_byte 32 r 1 0")
	f.Add("delay", "254:16 0 5 254:16 0 70")
	f.Add("log-writes", "254:16 254:32")
	f.Add("linear", "0+8 3 0 24 1 10 2 80 5 0 0 1 1 2 3")
	f.Fuzz(func(t *testing.T, kind, line string) {
		if target, err := ParseTarget(kind, line); err == nil {
			again, err := ParseTarget(kind, target.Params())
			if err != nil || !cmp.Equal(target, again) {
				t.Errorf("%q is %+v, then %+v, %v", line, target, again, err)
			}
		}
		_, _ = ParseDelayStatus(line)
		_, _ = ParseLogStatus(line)
		_, _ = ParseCounters(line)
		_, _, _ = parseStat(line)
	})
}

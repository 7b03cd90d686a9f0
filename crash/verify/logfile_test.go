package verify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func FuzzLog(f *testing.F) {
	f.Add([]byte("panic: now\n2026-01-02T03:04:05.000Z\tfatal\tx\n"))
	f.Add([]byte(`{"level":"panic","ts":"2026-01-02T03:04:04.999Z","msg":"input/output error"}` + "\npanic: input/output error"))
	path := filepath.Join(f.TempDir(), "etcd.log")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		l := &logReader{fault: "io-error", since: time.Unix(1_767_323_045, 0)}
		last := int64(0)
		if err := l.read(path, func(n int64, means, _ string) {
			if n <= last || means == "" {
				t.Fatalf("line %d after %d: %q", n, last, means)
			}
			last = n
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLogTellsWhoFailed(t *testing.T) {
	const eio = `{"level":"fatal","ts":"2026-01-02T03:04:06.000Z","msg":"failed to save","error":"input/output error"}`
	for name, c := range map[string]struct {
		fault, log     string
		alarms, noDisk int
	}{
		"asked for":        {"io-error", eio, 0, 0},
		"asked in turn":    {"power-loss,io-error", eio, 0, 0},
		"ours":             {"power-loss", eio + "\npanic: failed to save\n", 0, 1},
		"told again":       {"kill", strings.ReplaceAll(eio, "fatal", "panic") + "\n" + `{"level":"panic","ts":"2026-01-02T03:04:06.000Z","msg":"execute job failed","panic":"failed to save"}` + "\npanic: failed to save [recovered]\n\tpanic: execute job failed\n", 0, 1},
		"another's job":    {"kill", strings.ReplaceAll(eio, "fatal", "panic") + "\n" + `{"level":"panic","ts":"2026-01-02T03:04:06.000Z","msg":"execute job failed","panic":"index out of range"}`, 1, 1},
		"no files":         {"fd-limit", strings.ReplaceAll(eio, "input/output error", "too many open files") + "\npanic: failed to save\n", 0, 0},
		"leaked files":     {"kill", strings.ReplaceAll(eio, "input/output error", "too many open files"), 1, 0},
		"no space":         {"kill", strings.ReplaceAll(eio, "input/output error", "no space left on device"), 0, 1},
		"cut short":        {"kill", eio[:80], 0, 1},
		"before the run":   {"power-loss", strings.ReplaceAll(eio, ":06.", ":01."), 0, 0},
		"etcd's own":       {"power-loss", strings.ReplaceAll(eio, "input/output error", "crc mismatch"), 1, 0},
		"beside etcd's":    {"kill", eio + "\npanic: tocommit(7) is out of range\n", 1, 1},
		"of a failpoint":   {"failpoint", "panic: failpoint panic: x\n\npanic: runtime error: nil pointer\n", 0, 0},
		"told before it":   {"failpoint", "panic: runtime error: nil pointer\n\ngoroutine 1\npanic: failpoint panic: x\n", 0, 0},
		"of a life before": {"failpoint", "panic: runtime error: nil pointer\n{\"msg\":\"Running: \"}\npanic: failpoint panic: x\n", 1, 0},
		"race before it":   {"failpoint", "panic: runtime error: nil pointer\nWARNING: DATA RACE\npanic: failpoint panic: x\n", 1, 0},
		"after it":         {"failpoint", "panic: failpoint panic: x\n{\"msg\":\"Running: \"}\npanic: runtime error: nil pointer\n", 1, 0},
		"beside it":        {"failpoint", "panic: failpoint panic: x\nWARNING: DATA RACE\n", 1, 0},
		"no alarm at all":  {"kill", strings.ReplaceAll(eio, "fatal", "warn"), 0, 0},
	} {
		path := filepath.Join(t.TempDir(), "etcd.log")
		if err := os.WriteFile(path, []byte(c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		l := &logReader{fault: c.fault, since: time.Unix(1_767_323_045, 0)}
		alarms := 0
		if err := l.read(path, func(int64, string, string) { alarms++ }); err != nil {
			t.Fatal(err)
		}
		if alarms != c.alarms || (l.noDisk != "") != (c.noDisk > 0) {
			t.Errorf("%s: %d alarms, want %d; the disk's: %q", name, alarms, c.alarms, l.noDisk)
		}
	}
}

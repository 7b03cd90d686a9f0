package transcript

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/go-cmp/cmp"

	"github.com/etcdlab/etcdlab/crash/history"
)

var update = flag.Bool("update", false, "write the golden files anew")

func tell(t testing.TB, dir string, format Format, f Filter) (string, []string) {
	t.Helper()
	var out bytes.Buffer
	notes, err := Write(&out, dir, format, f)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), notes
}

func TestFormats(t *testing.T) {
	dir := write(t)
	for _, format := range Formats {
		got, notes := tell(t, dir, format, Filter{})
		if len(notes) > 0 {
			got += "notes:\n" + strings.Join(notes, "\n") + "\n"
		}
		golden := filepath.Join("testdata", string(format)+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s; run with -update if this is right:\n%s", format, d)
		}
	}
	if _, err := Write(&bytes.Buffer{}, dir, "xml", Filter{}); err == nil || !strings.Contains(err.Error(), `unknown format "xml"`) {
		t.Error(err)
	}
}

// What is written for other tools is JSON, and loses nothing that they need.
func TestPorcupineDecodes(t *testing.T) {
	got, _ := tell(t, write(t), Porcupine, Filter{})
	var page struct {
		Partitions []struct {
			History []struct {
				ClientId     int
				Input        struct{ Then []struct{ Key, Value string } }
				Output       *struct{ Revision int64 }
				Call, Return int64
			}
		}
		Annotations []struct{ Tag string }
	}
	if err := json.Unmarshal([]byte(got), &page); err != nil {
		t.Fatal(err)
	}
	h := page.Partitions[0].History
	if len(h) != 7 || len(page.Annotations) != 4 {
		t.Fatalf("%d operations, %d annotations", len(h), len(page.Annotations))
	}
	last := h[len(h)-1] // the unknown one
	if last.Output != nil || last.Return <= h[len(h)-2].Return || last.ClientId <= 3 || last.Input.Then[0].Value != value(1, 6, 0) {
		t.Errorf("the operation whose outcome is unknown: %+v", last)
	}
	for i := range h {
		if h[i].Call > h[i].Return {
			t.Errorf("operation %d returns before its call", i)
		}
	}
	var raw struct {
		Partitions []struct{ History []porcupine.Operation }
	}
	if err := json.Unmarshal([]byte(got), &raw); err != nil {
		t.Fatal(err)
	}
	// A model that takes everything sees every operation, with its input.
	seen := 0
	ok := porcupine.CheckOperations(porcupine.Model{
		Init: func() any { return 0 },
		Step: func(state, in, out any) (bool, any) {
			_, asked := in.(map[string]any)["Then"]
			seen++
			return asked, state.(int) + 1
		},
	}, raw.Partitions[0].History)
	if !ok || seen < 7 {
		t.Errorf("porcupine saw %d operations of the history, ok %v", seen, ok)
	}
	empty, _ := tell(t, write(t), Porcupine, Filter{Members: []string{"m9"}})
	if err := json.Unmarshal([]byte(empty), &page); err != nil {
		t.Errorf("nothing: %v in %s", err, empty)
	}
}

func TestFilter(t *testing.T) {
	dir := write(t)
	for name, tt := range map[string]struct {
		f    Filter
		want int
	}{
		"all":            {Filter{}, 19},
		"ops":            {Filter{Ops: true}, 10},
		"watches":        {Filter{Watches: true}, 5},
		"events":         {Filter{Events: true}, 4},
		"two of them":    {Filter{Events: true, Watches: true}, 9},
		"client":         {Filter{Clients: []int32{3}}, 2},
		"member":         {Filter{Members: []string{"m2"}}, 4},
		"member's event": {Filter{Members: []string{"m1"}, Events: true}, 2},
		"key":            {Filter{Key: "b", Ops: true}, 4}, // one deletes up to it, one reads over it
		"whole key":      {Filter{Key: prefix + "secret"}, 2},
		"no such key":    {Filter{Key: "zz", Ops: true}, 0},
		"verb":           {Filter{Kinds: []string{"delete"}}, 3}, // in branches, too
		"kinds":          {Filter{Kinds: []string{"status", "cut", "canceled"}}, 3},
		"revisions":      {Filter{From: 3, To: 4, Ops: true}, 2},
		"one revision":   {Filter{From: 2, To: 2, Watches: true}, 1},
		"from":           {Filter{From: 5}, 5},
		"since":          {Filter{Since: 26 * time.Millisecond}, 4},
		"until":          {Filter{Until: 2 * time.Millisecond}, 3},
		"failed":         {Filter{Failed: true}, 1},
		"unknown":        {Filter{Unknown: true}, 1},
		"both":           {Filter{Failed: true, Unknown: true}, 2},
	} {
		got, _ := tell(t, dir, JSONLines, tt.f)
		if n := strings.Count(got, "\n"); n != tt.want {
			t.Errorf("%s: %d records, want %d:\n%s", name, n, tt.want, got)
		}
	}
	if CheckKind("put") != nil || CheckKind("killed") != nil || CheckKind("lease-ttl") != nil || CheckKind("putt") == nil {
		t.Error("kinds")
	}
}

func TestParseRevisions(t *testing.T) {
	for s, want := range map[string][2]int64{"5": {5, 5}, "5..": {5, 0}, "..7": {0, 7}, "5..7": {5, 7}} {
		if from, to, err := ParseRevisions(s); err != nil || from != want[0] || to != want[1] {
			t.Errorf("%s: %d..%d, %v", s, from, to, err)
		}
	}
	for _, s := range []string{"", "..", "x", "7..5", "-1", "1...2", "0"} {
		if _, _, err := ParseRevisions(s); err == nil {
			t.Errorf("%q is taken for revisions", s)
		}
	}
}

// A log is told as far as it goes, and a damaged one as far as it can be read.
func TestBrokenLogs(t *testing.T) {
	dir := write(t)
	path := filepath.Join(dir, history.FileOps)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)-20], 0o644); err != nil {
		t.Fatal(err)
	}
	got, notes := tell(t, dir, JSONLines, Filter{})
	if n := strings.Count(got, "\n"); n != 18 || len(notes) != 1 || !strings.Contains(notes[0], "history.bin has no end mark") {
		t.Errorf("cut short: %d records, %v", n, notes)
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)/2] ^= 1
	if err := os.WriteFile(path, damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, err = Write(&out, dir, Text, Filter{})
	var corrupt *history.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Offset == 0 || !strings.Contains(err.Error(), "history.bin") {
		t.Errorf("damaged: %v", err)
	}
	if !strings.Contains(out.String(), "put a") || !strings.Contains(out.String(), "run-end") {
		t.Errorf("what can be read of a damaged history is not told:\n%s", &out)
	}
	if err := os.Remove(filepath.Join(dir, history.FileWatches)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, notes := tell(t, dir, Text, Filter{}); len(notes) != 1 || !strings.Contains(notes[0], "no watch.bin") {
		t.Errorf("without watches: %v", notes)
	}
}

// Whatever a log holds, every format can tell it, and what says that it is JSON is.
func FuzzFormats(f *testing.F) {
	f.Add(uint8(0), uint8(1), uint8(0), "k", "", value(1, 7, 0), "", int64(2))
	f.Add(uint8(1), uint8(0), uint8(3), "k\xff", "\x00", "\x80\n", "deadline", int64(-5))
	f.Add(uint8(14), uint8(2), uint8(2), "", "\"", "", "denied", int64(1<<62))
	run := &history.Run{ID: runID, Prefix: prefix}
	f.Fuzz(func(t *testing.T, kind, outcome, verb uint8, k, end, v, fail string, n int64) {
		req := history.Request{Verb: history.Verb(verb % 4), Key: k, End: end, Value: v, Revision: n, Lease: n}
		branches := history.Branches{
			Compares: []history.Compare{{Key: k, End: end, Value: v, Number: n, Target: history.CompareTarget(verb % 5)}},
			Then:     []history.Request{req}, Else: []history.Request{{Verb: history.Put, Key: end, Value: v}},
		}
		if req.Verb == history.Txn {
			req.Txn = &branches
			branches.Then = nil
		}
		op := history.Op{
			ID: uint64(n), Client: int32(n), Member: k, User: end, Kind: history.Kind(kind % 21), Outcome: history.Outcome(outcome % 3), Error: fail,
			Invoke: n, Return: n, Revision: n, MemberID: uint64(n), Succeeded: n%2 == 0, Compares: branches.Compares, Then: []history.Request{req}, Else: branches.Else,
			Call:    &history.Call{Lease: n, Name: k, Key: k, End: end, Value: v, Method: fail, List: []string{k, end, v, k, end}},
			Results: []history.Result{{Succeeded: true, KVs: []history.KV{{Key: k, Value: v, CreateRevision: n}}, Results: []history.Result{{}, {}}}, {}},
		}
		kv := history.KV{Key: k, Value: v, ModRevision: n}
		watch := history.WatchRecord{
			Kind: history.WatchKind(kind % 7), Time: n, Error: fail, Request: &history.WatchRequest{Key: k, End: end},
			Events: []history.WatchEvent{{KV: kv, Prev: &kv}, {Delete: true, KV: kv}},
		}
		event := history.Event{Time: n, Kind: history.EventCut, Member: k, Message: fail}
		filter := Filter{run: run, Key: end, Kinds: []string{"put"}, Members: []string{k}}
		for _, format := range Formats {
			var out bytes.Buffer
			w := bufio.NewWriter(&out)
			to, err := newFormatter(w, format, run)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range []*Record{{Time: n, Op: &op}, {Time: n, Watch: &watch}, {Time: n, Event: &event}, {Time: n, Op: &op}} {
				filter.lets(r)
				if err := to.record(r); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := to.end(); err != nil {
				t.Fatal(err)
			}
			_ = w.Flush() // to memory
			got := out.String()
			switch format {
			case Porcupine:
				if !json.Valid([]byte(got)) {
					t.Errorf("not JSON: %s", got)
				}
			case JSONLines:
				for line := range strings.Lines(got) {
					if !json.Valid([]byte(line)) {
						t.Errorf("not JSON: %s", line)
					}
				}
			case Text:
				if strings.ContainsAny(got, "\x1b\x07\x00") {
					t.Errorf("control characters reach a terminal: %q", got)
				}
			}
		}
	})
}

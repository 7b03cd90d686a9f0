package history

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestDirRoundTrip(t *testing.T) {
	dir := t.TempDir()
	run := &Run{ID: "0123456789abcdef", Members: []Member{{Name: "m1", ID: 1<<64 - 1}}, Base: Base{Revision: 7}}
	if err := WriteRun(dir, run); err != nil {
		t.Fatal(err)
	}
	final := &Final{Members: []FinalMember{{Name: "m1", Leader: 1<<64 - 1, Hash: 5}}}
	for range 2 { // the second replaces the first
		if err := WriteFinal(dir, final); err != nil {
			t.Fatal(err)
		}
	}
	gotRun, err := ReadRun(dir)
	if err != nil || !reflect.DeepEqual(gotRun, run) {
		t.Fatalf("%v, %v", gotRun, err)
	}
	gotFinal, err := ReadFinal(dir)
	if err != nil || !reflect.DeepEqual(gotFinal, final) {
		t.Fatalf("%v, %v", gotFinal, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("left behind: %v, %v", entries, err)
	}
	if err := os.WriteFile(filepath.Join(dir, FileRun), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRun(dir); err == nil || !strings.Contains(err.Error(), "run.json") {
		t.Fatalf("half a file: %v", err)
	}
}

func TestEvents(t *testing.T) {
	dir := t.TempDir()
	want := []Event{
		{Time: 1, Kind: EventCut, Round: 1, Member: "m1", Cut: &Cut{Policy: "drop", Dropped: 3}},
		{Time: 2, Kind: EventRoundEnd, Round: 1, Figures: &Figures{Fault: "power-loss", Targets: []string{"m1"}}},
	}
	f, err := os.Create(filepath.Join(dir, FileEvents))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range want {
		if err := AppendEvent(f, &want[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteString(`{"t":3,"ki`); err != nil { // killed while writing
		t.Fatal(err)
	}
	got, err := ReadEvents(dir)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := f.WriteString("\n{}\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadEvents(dir); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Fatalf("a damaged line: %v", err)
	}
}

func TestValue(t *testing.T) {
	for _, size := range []int{0, 10, 64, 4096} {
		v := Value("0123456789abcdef", 3, 123, 1, size)
		if len(v) < size || (size > 64 && len(v) != size) {
			t.Errorf("size %d: %d bytes", size, len(v))
		}
		name, ok := ParseValue(v)
		if want := (ValueName{"0123456789abcdef", 3, 123, 1}); !ok || name != want {
			t.Errorf("size %d: %v, %v", size, name, ok)
		}
	}
	for _, v := range []string{"", "a", "a/1/2/3", "/1/2/3/", "a/x/2/3/", "a/1/-2/3/", "a/1/2/-3/", "a/99999999999/2/3/"} {
		if name, ok := ParseValue(v); ok {
			t.Errorf("%q is read as %v", v, name)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	f.Add("run/1/2/3/filler")
	f.Fuzz(func(t *testing.T, v string) {
		name, ok := ParseValue(v)
		if !ok {
			return
		}
		again, ok := ParseValue(Value(name.RunID, name.Client, name.Op, name.N, len(v)))
		if !ok || again != name {
			t.Fatalf("%q: %v, then %v", v, name, again)
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(`{"t":1,"kind":"cut"}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = parseEvents(b) })
}

func TestOpJSON(t *testing.T) {
	op := Op{ID: 9, Outcome: OK, Then: []Request{{Verb: Delete, Key: "k"}}}
	b, err := op.JSON()
	if err != nil || !json.Valid(b) {
		t.Fatal(err)
	}
	for _, want := range []string{`"Outcome":"ok"`, `"Verb":"delete"`, `"ID":9`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
}

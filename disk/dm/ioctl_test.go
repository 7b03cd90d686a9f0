package dm

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRequestNumbers(t *testing.T) {
	for cmd, want := range map[command]uintptr{ // strace's view of dmsetup
		cmdVersion: 0xc138fd00, cmdDevCreate: 0xc138fd03, cmdDevRemove: 0xc138fd04, cmdDevSuspend: 0xc138fd06,
		cmdTableLoad: 0xc138fd09, cmdTableStatus: 0xc138fd0c, cmdListVersions: 0xc138fd0d, cmdTargetMsg: 0xc138fd0e,
	} {
		if got := cmd.request(); got != want {
			t.Errorf("%v is %#x, want %#x", cmd, got, want)
		}
	}
}

func TestHeadGoesThere(t *testing.T) {
	h := head{Flags: flagSuspend | flagNoFlush, Targets: 2, Event: 7, Dev: 254<<8 | 3, Name: "etcdlab-a"}
	b := h.encode([]byte("data"), 16)
	if len(b) != 312+16 {
		t.Fatalf("%d bytes", len(b))
	}
	le := binary.LittleEndian
	for at, want := range map[int]uint32{0: 4, 12: 328, 16: 312, 20: 2, 28: 1<<1 | 1<<11, 32: 7, 40: 254<<8 | 3} {
		if got := le.Uint32(b[at:]); got != want {
			t.Errorf("at %d there is %#x, want %#x", at, got, want)
		}
	}
	if !bytes.Equal(b[48:58], []byte("etcdlab-a\x00")) || !bytes.Equal(b[312:317], []byte("data\x00")) {
		t.Errorf("name %q, data %q", b[48:58], b[312:317])
	}
	got, data, err := decode(b)
	if err != nil || got != h || len(data) != 16 {
		t.Errorf("%+v, %d bytes, %v", got, len(data), err)
	}
	le.PutUint32(b[12:], 400)
	if _, _, err := decode(b); err == nil {
		t.Error("an answer that is longer than its buffer is read")
	}
	if _, _, err := decode(b[:300]); err == nil {
		t.Error("half a head is read")
	}
}

func TestTableGoesThere(t *testing.T) {
	d := Number{254, 16}
	table := Table{
		{0, 100, Linear{d, 0}},
		{100, 8, Error{}},
		{108, 20, Flakey{Dev: d, Offset: 108, Down: Always, DropWrites: true}},
	}
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
	b := encodeTable(table)
	le := binary.LittleEndian
	at, starts := 0, []uint64{}
	for range table {
		starts = append(starts, le.Uint64(b[at:]))
		next := int(le.Uint32(b[at+20:]))
		if next%8 != 0 {
			t.Errorf("the next one is %d bytes on, which is not aligned", next)
		}
		at += next
	}
	if at != len(b) || !cmp.Equal(starts, []uint64{0, 100, 108}) {
		t.Errorf("segments at sectors %v, %d of %d bytes", starts, at, len(b))
	}
	if want := "0 100 linear 254:16 0\n100 8 error\n108 20 flakey 254:16 108 0 1073741824 1 drop_writes\n"; table.String() != want {
		t.Errorf("the table is\n%s", table)
	}
}

// answer lays a status out as the kernel does: next counts from the first spec.
func answer(lines []Line) []byte {
	var b []byte
	for _, l := range lines {
		spec := make([]byte, aligned(specBytes+len(l.Text)+1))
		binary.LittleEndian.PutUint64(spec, l.Start)
		binary.LittleEndian.PutUint64(spec[8:], l.Length)
		binary.LittleEndian.PutUint32(spec[20:], uint32(len(b)+len(spec)))
		copy(spec[24:40], l.Type)
		copy(spec[40:], l.Text)
		b = append(b, spec...)
	}
	return b
}

func TestLinesComeBack(t *testing.T) {
	lines := []Line{{0, 8, "linear", "254:16 0"}, {8, 8, "error", ""}, {16, 1 << 40, "log-writes", "254:16 254:32"}}
	got, err := decodeLines(answer(lines), 3)
	if err != nil || !cmp.Equal(got, lines) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := decodeLines(answer(lines), 4); err == nil {
		t.Error("a fourth line of three is read")
	}
	bad := answer(lines)
	binary.LittleEndian.PutUint32(bad[20:], 0)
	if _, err := decodeLines(bad, 3); err == nil {
		t.Error("a list that points at itself is read")
	}
}

func TestNamesAndVersionsComeBack(t *testing.T) {
	le := binary.LittleEndian
	b := make([]byte, 64)
	le.PutUint64(b[0:], 254<<8|1)
	le.PutUint32(b[8:], 32)
	copy(b[12:], "one")
	le.PutUint64(b[32:], 254<<8|0x44|1<<20)
	copy(b[44:], "two")
	names, err := decodeNames(b)
	if want := []Name{{"one", Number{254, 1}}, {"two", Number{254, 0x144}}}; err != nil || !cmp.Equal(names, want) {
		t.Errorf("%v, %v", names, err)
	}
	if names, err := decodeNames(make([]byte, 16)); err != nil || names != nil {
		t.Errorf("no devices: %v, %v", names, err)
	}
	b = make([]byte, 64)
	le.PutUint32(b[0:], 32)
	le.PutUint32(b[4:], 1)
	le.PutUint32(b[8:], 5)
	copy(b[16:], "flakey")
	copy(b[48:], "error")
	versions, err := decodeVersions(b)
	if want := (map[string]Version{"flakey": {1, 5, 0}, "error": {}}); err != nil || !cmp.Equal(versions, want) {
		t.Errorf("%v, %v", versions, err)
	}
	if versions["flakey"].String() != "1.5.0" {
		t.Error(versions["flakey"])
	}
}

func TestMessage(t *testing.T) {
	if got := encodeMessage(1, "mark here"); !bytes.Equal(got, append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, "mark here\x00"...)) {
		t.Errorf("%q", got)
	}
}

func TestBadNames(t *testing.T) {
	for _, name := range []string{"", "control", "../x", "a b", strings.Repeat("x", 128), ".", "a\nb"} {
		if checkName(name) == nil {
			t.Errorf("%q passes", name)
		}
	}
	if err := checkName("etcdlab-demo.m1"); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(answer([]Line{{0, 8, "linear", "254:16 0"}, {8, 8, "error", ""}}), uint32(2))
	f.Add(head{Name: "x"}.encode(nil, 64), uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, count uint32) {
		if _, data, err := decode(b); err == nil && len(data) > len(b) {
			t.Error("more data than there is")
		}
		if lines, err := decodeLines(b, count); err == nil && uint32(len(lines)) != count {
			t.Errorf("%d lines of %d", len(lines), count)
		}
		_, _ = decodeNames(b)
		_, _ = decodeVersions(b)
	})
}

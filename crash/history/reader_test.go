package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
)

// TestEveryCut reads every prefix of a history: what a kill -9 can leave.
func TestEveryCut(t *testing.T) {
	ops := randomOps(3, 5)
	whole := encodeAll(t, ops, true)
	for n := range whole {
		got, truncated, err := readAll(whole[:n])
		if err != nil || !truncated {
			t.Fatalf("cut at %d of %d: truncated %v, error %v", n, len(whole), truncated, err)
		}
		if len(got) > 0 && !reflect.DeepEqual(got, ops[:len(got)]) {
			t.Fatalf("cut at %d: wrong operations", n)
		}
	}
}

// TestEveryFlip flips a bit of every byte. Damage is an error or, where it
// cannot be told from an early end, a truncation; it is never a whole history.
func TestEveryFlip(t *testing.T) {
	ops := randomOps(4, 5)
	whole := encodeAll(t, ops, true)
	for i := range whole {
		for _, bit := range []int{0, 3, 7} {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			_, truncated, err := readAll(b)
			if err == nil && !truncated {
				t.Fatalf("a flip of bit %d of byte %d goes unseen", bit, i)
			}
			if err == nil && i < len(whole)/2 {
				t.Fatalf("a flip of bit %d of byte %d in the middle is read as an early end", bit, i)
			}
		}
	}
}

func TestDamageNamesTheOffset(t *testing.T) {
	ops := randomOps(5, 3)
	first := encodeAll(t, ops[:1], false)
	b := encodeAll(t, ops, true)
	b[len(first)+5] ^= 1
	_, _, err := readAll(b)
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || corrupt.Offset != int64(len(first)) {
		t.Fatalf("want damage at %d, got %v", len(first), err)
	}
}

func TestDamagedWhole(t *testing.T) {
	ops := randomOps(6, 5)
	whole := encodeAll(t, ops, true)
	two := encodeAll(t, ops[:2], false)
	three := encodeAll(t, ops[:3], false)
	for name, b := range map[string][]byte{
		"no history":         []byte("once upon a time there was a file\n"),
		"another version":    append([]byte(header[:len(header)-1]+"\x01"), whole[len(header):]...),
		"a frame missing":    append(bytes.Clone(two), whole[len(three):]...),
		"bytes after end":    append(bytes.Clone(whole), 0),
		"zeroes in between":  append(append(bytes.Clone(two), make([]byte, 64)...), whole[len(two):]...),
		"another whole file": append(bytes.Clone(whole), whole...),
	} {
		_, _, err := readAll(b)
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) {
			t.Errorf("%s: want a corruption, got %v", name, err)
		}
	}
}

func TestReadErrorIsNotAnEnd(t *testing.T) {
	whole := encodeAll(t, randomOps(8, 2), true)
	boom := errors.New("boom")
	for n := range whole {
		r, err := NewReader(io.MultiReader(bytes.NewReader(whole[:n]), errReader{boom}))
		for err == nil {
			var op Op
			err = r.Next(&op)
		}
		if !errors.Is(err, boom) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func FuzzReader(f *testing.F) {
	f.Add(encodeAll(f, randomOps(1, 3), true))
	f.Add([]byte(header))
	f.Fuzz(func(t *testing.T, b []byte) {
		ops, truncated, err := readAll(b)
		if err != nil || truncated {
			return
		}
		again, _, err := readAll(encodeAll(t, ops, true))
		if err != nil || !bytes.Equal(encodeAll(t, again, true), encodeAll(t, ops, true)) {
			t.Fatalf("what was read does not survive a round trip: %v", err)
		}
	})
}

// FuzzDecode reaches the operation codec without having to guess a CRC.
func FuzzDecode(f *testing.F) {
	for _, op := range randomOps(2, 8) {
		b, err := appendOp(nil, &op)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{intern: make(map[string]string)}
		var op, again Op
		if d.decode(b, &op) != nil {
			return
		}
		enc, err := appendOp(nil, &op)
		if err != nil {
			t.Fatalf("decoded but not encodable: %v", err)
		}
		if err := d.decode(enc, &again); err != nil || !reflect.DeepEqual(op, again) {
			t.Fatalf("round trip: %v\n%v\n%v", err, op, again)
		}
	})
}

func BenchmarkRead1M(b *testing.B) {
	var buf bytes.Buffer
	w, _ := NewWriter(&buf)
	const n = 1_000_000
	for i := range uint64(n) {
		key := fmt.Sprintf("/etcdlab/0123456789abcdef/k%06d", i%1000)
		op := Op{ID: i, Client: int32(i % 16), Member: "m1", Invoke: int64(i) * 1000, Return: int64(i)*1000 + 500, Outcome: OK, Revision: int64(i), RaftTerm: 3, MemberID: 1 << 60}
		if i%2 == 0 {
			op.Then = []Request{{Key: key, Value: Value("0123456789abcdef", op.Client, i, 0, 128)}}
			op.Results = []Result{{}}
		} else {
			op.Then = []Request{{Verb: Range, Key: key}}
			op.Results = []Result{{Count: 1, KVs: []KV{{Key: key, Value: Value("0123456789abcdef", op.Client, i-1, 0, 128), ModRevision: int64(i)}}}}
		}
		if err := w.Append(&op); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(buf.Len()))
	b.ResetTimer()
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(buf.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		var op Op
		got := 0
		for r.Next(&op) == nil {
			got++
		}
		if got != n || r.Truncated() {
			b.Fatalf("%d operations", got)
		}
	}
}

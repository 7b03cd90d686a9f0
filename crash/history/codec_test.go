package history

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func randomOp(r *rand.Rand, id uint64) Op {
	str := func(n int) string {
		b := make([]byte, r.IntN(n))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	num := func() int64 { return int64(r.Uint64()) >> r.IntN(64) }
	reqs := func() []Request {
		var rs []Request
		for range r.IntN(4) {
			rs = append(rs, Request{
				Verb: Verb(r.IntN(3)), Key: str(20), End: str(20), Value: str(300),
				Revision: num(), Limit: num(), Serializable: r.IntN(2) == 0,
			})
		}
		return rs
	}
	o := Op{
		ID: id, Client: int32(r.Uint32()), Member: str(5), Kind: Kind(r.IntN(2)),
		Then: reqs(), Else: reqs(), Invoke: num(), Return: num(), Outcome: Outcome(r.IntN(3)), Error: str(40),
		Revision: num(), RaftTerm: r.Uint64(), MemberID: r.Uint64(), Succeeded: r.IntN(2) == 0,
	}
	for range r.IntN(3) {
		o.Compares = append(o.Compares, Compare{
			Key: str(20), Target: CompareTarget(r.IntN(4)), Result: CompareResult(r.IntN(4)), Value: str(50), Number: num(),
		})
	}
	for range r.IntN(4) {
		var res Result
		for range r.IntN(4) {
			res.KVs = append(res.KVs, KV{Key: str(20), Value: str(100), CreateRevision: num(), ModRevision: num(), Version: num(), Lease: num()})
		}
		res.Count, res.More, res.Deleted = num(), r.IntN(2) == 0, num()
		o.Results = append(o.Results, res)
	}
	return o
}

func randomOps(seed uint64, n int) []Op {
	r := rand.New(rand.NewPCG(seed, 1))
	ops := make([]Op, n)
	for i := range ops {
		ops[i] = randomOp(r, uint64(i))
	}
	return ops
}

func encodeAll(t testing.TB, ops []Op, end bool) []byte {
	var b bytes.Buffer
	w, err := NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range ops {
		if err := w.Append(&ops[i]); err != nil {
			t.Fatal(err)
		}
	}
	if end {
		err = w.Close()
	} else {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readAll reads with a fresh Op each, so that the result can be kept.
func readAll(b []byte) (ops []Op, truncated bool, err error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, false, err
	}
	for {
		var op Op
		if err := r.Next(&op); err == io.EOF {
			return ops, r.Truncated(), nil
		} else if err != nil {
			return ops, false, err
		}
		ops = append(ops, op)
	}
}

func TestRoundTrip(t *testing.T) {
	for seed := range uint64(50) {
		ops := randomOps(seed, 40)
		got, truncated, err := readAll(encodeAll(t, ops, true))
		if err != nil || truncated {
			t.Fatalf("seed %d: truncated %v, error %v", seed, truncated, err)
		}
		if !reflect.DeepEqual(got, ops) {
			t.Fatalf("seed %d: the operations read differ from those written", seed)
		}
	}
}

// TestReuse reads into one Op: nothing of an earlier operation may show.
func TestReuse(t *testing.T) {
	ops := randomOps(7, 300)
	r, err := NewReader(bytes.NewReader(encodeAll(t, ops, true)))
	if err != nil {
		t.Fatal(err)
	}
	var op Op
	for i := range ops {
		if err := r.Next(&op); err != nil {
			t.Fatal(err)
		}
		a, _ := appendOp(nil, &op)
		b, _ := appendOp(nil, &ops[i])
		if !bytes.Equal(a, b) {
			t.Fatalf("operation %d differs when its Op is reused", i)
		}
	}
}

func TestRefusesUnknownEnums(t *testing.T) {
	for name, op := range map[string]Op{
		"kind":    {Kind: 2},
		"outcome": {Outcome: 3},
		"verb":    {Then: []Request{{Verb: 3}}},
		"target":  {Compares: []Compare{{Target: 4}}},
		"result":  {Compares: []Compare{{Result: 4}}},
	} {
		w, _ := NewWriter(io.Discard)
		if err := w.Append(&op); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestConcurrentAppend(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	const clients, each = 8, 500
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				if err := w.Append(&Op{ID: uint64(c*each + i), Client: int32(c), Error: strings.Repeat("x", i)}); err != nil {
					t.Error(err)
				}
				if i%100 == 0 {
					if err := w.Flush(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(w.Close(), w.Close(), w.Flush()); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(&Op{}); err == nil {
		t.Fatal("an append after Close is silent")
	}
	ops, truncated, err := readAll(b.Bytes())
	if err != nil || truncated || len(ops) != clients*each || w.Count() != clients*each {
		t.Fatalf("%d operations, truncated %v, error %v", len(ops), truncated, err)
	}
	seen := make(map[uint64]bool)
	for _, op := range ops {
		if seen[op.ID] || len(op.Error) != int(op.ID)%each {
			t.Fatalf("operation %d is wrong", op.ID)
		}
		seen[op.ID] = true
	}
}

type failing struct{ after int }

func (f *failing) Write(b []byte) (int, error) {
	if f.after -= len(b); f.after < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestWriteErrorStays(t *testing.T) {
	w, err := NewWriter(&failing{after: 300 << 10})
	if err != nil {
		t.Fatal(err)
	}
	op := Op{Error: strings.Repeat("x", 100<<10)}
	for range 10 {
		err = w.Append(&op)
	}
	if err == nil || w.Flush() == nil || w.Close() == nil {
		t.Fatal("a history with a gap goes on")
	}
}

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

// maker makes up records.
type maker struct{ *rand.Rand }

func (r maker) str(n int) string {
	b := make([]byte, r.IntN(n))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func (r maker) num() int64 { return int64(r.Uint64()) >> r.IntN(64) }

func (r maker) flip() bool { return r.IntN(2) == 0 }

// value is what a run writes, or something else.
func (r maker) value() string {
	v := Value("0123456789abcdef", int32(r.Uint32()), r.Uint64(), r.IntN(9), r.IntN(300))
	switch r.IntN(4) {
	case 0:
		return r.str(300)
	case 1:
		b := []byte(v)
		b[r.IntN(len(b))] ^= 1
		return string(b)
	}
	return v
}

func (r maker) kv() KV {
	return KV{Key: r.str(20), Value: r.value(), CreateRevision: r.num(), ModRevision: r.num(), Version: r.num(), Lease: r.num()}
}

func (r maker) compares() (cs []Compare) {
	for range r.IntN(3) {
		cs = append(cs, Compare{
			Key: r.str(20), End: r.str(3), Target: CompareTarget(r.IntN(int(compareTargets))), Result: CompareResult(r.IntN(int(compareResults))),
			Value: r.value(), Number: r.num(),
		})
	}
	return cs
}

func (r maker) requests(depth int) (rs []Request) {
	for range r.IntN(4) {
		q := Request{Verb: Verb(r.IntN(int(verbs))), Key: r.str(20), End: r.str(20)}
		switch q.Verb {
		case Put:
			q.Value, q.Lease, q.Prev = r.value(), r.num(), r.flip()
		case Delete:
			q.Prev = r.flip()
		case Range:
			q.Revision, q.Limit, q.Serializable, q.KeysOnly, q.CountOnly = r.num(), r.num(), r.flip(), r.flip(), r.flip()
			q.Order, q.Sort = Order(r.IntN(int(orders))), Target(r.IntN(int(targets)))
		case Txn:
			if depth == 2 {
				continue
			}
			q = Request{Verb: Txn, Txn: &Branches{r.compares(), r.requests(depth + 1), r.requests(depth + 1)}}
		}
		rs = append(rs, q)
	}
	return rs
}

func (r maker) results(depth int) (results []Result) {
	for range r.IntN(4) {
		res := Result{Count: r.num(), More: r.flip(), Deleted: r.num(), Succeeded: r.flip()}
		for range r.IntN(4) {
			res.KVs = append(res.KVs, r.kv())
		}
		if depth < 2 {
			res.Results = r.results(depth + 1)
		}
		results = append(results, res)
	}
	return results
}

func (r maker) call() *Call {
	if r.flip() {
		return nil
	}
	c := &Call{
		Lease: r.num(), TTL: r.num(), Granted: r.num(), Revision: r.num(), CompactRevision: r.num(), Hash: r.Uint32(), Physical: r.flip(),
		Name: r.str(5), Key: r.str(5), End: r.str(5), Value: r.str(5), Method: r.str(5), Role: r.str(5), Permission: r.str(5),
		Size: r.num(), Leader: r.Uint64(), Index: r.Uint64(),
	}
	for range r.IntN(3) {
		c.List = append(c.List, r.str(5))
	}
	return c
}

func randomOp(rnd *rand.Rand, id uint64) Op {
	r := maker{rnd}
	return Op{
		ID: id, Client: int32(r.Uint32()), Member: r.str(5), User: r.str(5), Kind: Kind(r.IntN(int(kinds))), Compares: r.compares(),
		Then: r.requests(0), Else: r.requests(0), Invoke: r.num(), Return: r.num(), Outcome: Outcome(r.IntN(3)), Denied: r.flip(),
		Error: r.str(40), Revision: r.num(), RaftTerm: r.Uint64(), MemberID: r.Uint64(), Succeeded: r.flip(), Results: r.results(0), Call: r.call(),
	}
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
		"kind":    {Kind: kinds},
		"outcome": {Outcome: 3},
		"nested":  {Then: []Request{{Verb: Txn}}},
		"order":   {Then: []Request{{Verb: Range, Order: orders}}},
		"sort":    {Then: []Request{{Verb: Range, Sort: targets}}},
		"verb":    {Then: []Request{{Verb: verbs}}},
		"target":  {Compares: []Compare{{Target: compareTargets}}},
		"result":  {Compares: []Compare{{Result: compareResults}}},
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

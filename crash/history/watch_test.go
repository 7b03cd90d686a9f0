package history

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
)

func randomWatch(rnd *rand.Rand, id uint64) WatchRecord {
	r := maker{rnd}
	w := WatchRecord{
		Watch: id, Client: int32(r.Uint32()), Member: r.str(5), Kind: WatchKind(r.IntN(int(watchKinds))), Time: r.num(), Revision: r.num(),
		MemberID: r.Uint64(), CompactRevision: r.num(), Error: r.str(9),
	}
	if r.flip() {
		w.Request = &WatchRequest{
			Key: r.str(9), End: r.str(9), Start: r.num(), Prev: r.flip(), Progress: r.flip(), NoPut: r.flip(), NoDelete: r.flip(),
			Fragment: r.flip(), Recorder: r.flip(),
		}
	}
	for range r.IntN(4) {
		e := WatchEvent{Delete: r.flip(), KV: r.kv()}
		if r.flip() {
			prev := r.kv()
			e.Prev = &prev
		}
		w.Events = append(w.Events, e)
	}
	return w
}

// watches encodes the records of a seed.
func watches(t testing.TB, seed uint64, n int) (recs []WatchRecord, b []byte) {
	var buf bytes.Buffer
	w, err := NewWatchWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range n {
		recs = append(recs, randomWatch(r, uint64(i)))
		if err := w.Append(&recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return recs, buf.Bytes()
}

func TestWatchRoundTrip(t *testing.T) {
	for seed := range uint64(20) {
		want, b := watches(t, seed, 50)
		r, err := NewWatchReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		var reused WatchRecord
		again, _ := NewWatchReader(bytes.NewReader(b))
		for i := range want {
			var got WatchRecord
			if err := errors.Join(r.Next(&got), again.Next(&reused)); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want[i]) {
				t.Fatalf("seed %d: record %d differs", seed, i)
			}
			x, _ := appendWatch(nil, &got)
			y, _ := appendWatch(nil, &reused)
			if !bytes.Equal(x, y) {
				t.Fatalf("seed %d: record %d differs when it is reused", seed, i)
			}
		}
		if err := r.Next(&reused); err != io.EOF || r.Truncated() {
			t.Fatalf("at the end: %v, truncated %v", err, r.Truncated())
		}
	}
}

func TestLogsAreToldApart(t *testing.T) {
	_, b := watches(t, 1, 1)
	if _, err := NewReader(bytes.NewReader(b)); err == nil {
		t.Fatal("watches are read as operations")
	}
}

func FuzzWatchReader(f *testing.F) {
	_, b := watches(f, 3, 20)
	f.Add(b)
	f.Add([]byte(watchHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewWatchReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		var rec WatchRecord
		for r.Next(&rec) == nil {
			if _, err := appendWatch(nil, &rec); err != nil {
				t.Fatal(err)
			}
		}
	})
}

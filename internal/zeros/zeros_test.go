package zeros

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
)

func encode(t testing.TB, pieces ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, p := range pieces {
		if n, err := w.Write(p); err != nil || n != len(p) {
			t.Fatal(n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestComesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var all []byte
		var pieces [][]byte
		for range r.IntN(20) {
			p := make([]byte, r.IntN(200_000))
			if r.IntN(2) == 0 {
				for i := range p {
					p[i] = byte(r.Uint32())
				}
			}
			pieces, all = append(pieces, p), append(all, p...)
		}
		var got bytes.Buffer
		if err := Copy(&got, bytes.NewReader(encode(t, pieces...))); err != nil || !bytes.Equal(got.Bytes(), all) {
			t.Fatalf("%d bytes came back as %d: %v", len(all), got.Len(), err)
		}
	}
}

func TestZeroesCostNothing(t *testing.T) {
	if n := len(encode(t, make([]byte, 64<<20))); n > 16 {
		t.Errorf("64 MiB of zeroes are %d bytes", n)
	}
}

func TestCutOff(t *testing.T) {
	whole := encode(t, make([]byte, 5000), []byte("and some text"), make([]byte, 5000))
	for n := range len(whole) {
		if Copy(io.Discard, bytes.NewReader(whole[:n])) == nil {
			t.Errorf("the first %d of %d bytes passed for a whole stream", n, len(whole))
		}
	}
}

func FuzzCopy(f *testing.F) {
	f.Add(encode(f, []byte("text"), make([]byte, 1000)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var got bytes.Buffer
		if Copy(&limited{&got}, bytes.NewReader(data)) != nil {
			return
		}
		var again bytes.Buffer
		if err := Copy(&again, bytes.NewReader(encode(t, got.Bytes()))); err != nil || !bytes.Equal(again.Bytes(), got.Bytes()) {
			t.Error(err)
		}
	})
}

type limited struct{ *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > 1<<20 {
		return 0, io.ErrShortWrite
	}
	return l.Buffer.Write(p)
}

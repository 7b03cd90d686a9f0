package disk

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open makes a disk and gives it power.
func open(t testing.TB, o Options) *Engine {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Size == 0 {
		o.Size = 1 << 20
	}
	must(t, Create(o))
	e, err := Open(o)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	return e
}

// fill returns n bytes of value b.
func fillBytes(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

func write(t testing.TB, e *Engine, b byte, off int64, n int) {
	t.Helper()
	_, err := e.WriteAt(fillBytes(b, n), off)
	must(t, err)
}

// at returns the first byte of the sector at off.
func at(t testing.TB, e *Engine, off int64) byte {
	t.Helper()
	p := make([]byte, SectorSize)
	_, err := e.ReadAt(p, off)
	must(t, err)
	if !bytes.Equal(p, fillBytes(p[0], SectorSize)) {
		t.Fatalf("the sector at %d is of several values", off)
	}
	return p[0]
}

func readLog(t testing.TB, path string) *Log {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	must(t, err)
	l, err := OpenLog(f, info.Size())
	must(t, err)
	return l
}

// scribble does n seeded operations: writes of all kinds, discards, flushes.
func scribble(t testing.TB, e *Engine, seed uint64, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range n {
		sectors := 1 + r.Int64N(24)
		off := r.Int64N(e.Size()/SectorSize-sectors) * SectorSize
		data := fillBytes(byte(1+i%255), int(sectors)*SectorSize)
		var err error
		switch r.IntN(12) {
		case 0:
			err = e.Flush()
		case 1:
			err = e.Discard(off, sectors*SectorSize)
		case 2:
			_, err = e.WriteFUA(data, off)
		case 3:
			err = e.Mark("scribble")
		default:
			_, err = e.WriteAt(data, off)
		}
		must(t, err)
	}
}

func openCopy(t testing.TB, path string) Target {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	must(t, os.Rename(path, path+".moved"))
	t.Cleanup(func() { f.Close() })
	return FileTarget(f)
}

func contents(t testing.TB, r io.ReaderAt) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(r, 0, 1<<40))
	must(t, err)
	return b
}

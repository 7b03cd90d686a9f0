package disk

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// kill ends the engine as a SIGKILL of its process does.
func kill(t testing.TB, e *Engine) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	must(t, e.closeFiles())
}

// A process that dies while it restores leaves a disk that the next one brings
// to the very state that was chosen.
func TestKillDuringRestore(t *testing.T) {
	for seed := range uint64(10) {
		policy := Policies[seed%5]
		whole := open(t, Options{Size: 256 << 10})
		scribble(t, whole, seed, 60)
		whole.Cut()
		_, err := whole.Restore(policy, seed)
		must(t, err)

		o := Options{Dir: t.TempDir(), Size: 256 << 10}
		broken := open(t, o)
		scribble(t, broken, seed, 60)
		broken.Cut()
		must(t, broken.log().intent(markRestore+string(policy)+" "+string(rune('0'+seed))))
		kill(t, broken)
		e, err := Open(o)
		must(t, err)
		if !bytes.Equal(contents(t, e.image), contents(t, whole.image)) {
			t.Errorf("%s %d: the next process comes to another state", policy, seed)
		}
		must(t, e.Close())
	}
}

// A flush that was held back is applied to the image in steps, and in between
// an older write lies over a durable one.
func TestKillDuringCover(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	e := open(t, o)
	write(t, e, 1, 0, 4096)
	flush := e.log().next
	_, err := e.log().append(Entry{Flags: FlagFlush}, nil)
	must(t, err)
	_, err = e.WriteFUA(fillBytes(2, 4096), 0)
	must(t, err)
	write(t, e, 3, 4096, 4096)
	must(t, e.log().intent(markCovering+strconv.FormatUint(e.log().next-flush, 10)))
	must(t, apply(e.image, e.log(), e.pending[:1], flush, nil))
	kill(t, e)
	e, err = Open(o)
	must(t, err)
	defer e.Close()
	if at(t, e, 0) != 2 || at(t, e, 4096) != 0 {
		t.Errorf("the disk holds %d and %d, want 2 and 0", at(t, e, 0), at(t, e, 4096))
	}
}

// A log that ends in the middle of an append does not matter.
func TestKillDuringAppend(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	e := open(t, o)
	write(t, e, 1, 0, 4096)
	must(t, e.Flush())
	write(t, e, 2, 4096, 4096)
	must(t, e.log().sync())
	end := e.log().end
	kill(t, e)
	must(t, os.Truncate(filepath.Join(o.Dir, logNames[0]), end-100))
	e, err := Open(o)
	must(t, err)
	defer e.Close()
	if at(t, e, 0) != 1 || at(t, e, 4096) != 0 {
		t.Error("what was flushed is gone, or what was not is there")
	}
}

// What an earlier use of the file left behind it is not part of a log.
func TestFoldedLogEnds(t *testing.T) {
	o := Options{Dir: t.TempDir(), LogLimit: 64 << 10}
	e := open(t, o)
	for i := range 100 {
		write(t, e, byte(i), 0, 4096)
		must(t, e.Flush())
	}
	if e.Stats().LogBytes > 80<<10 {
		t.Errorf("the log has %d bytes, past its limit", e.Stats().LogBytes)
	}
	record := e.Cut()
	if l := readLog(t, e.LogPath()); uint64(len(l.Entries)) != e.log().next {
		t.Errorf("a reader finds %d entries, there are %d", len(l.Entries), e.log().next)
	}
	if record.Position < 300 || record.Writes != 100 || record.Flushes != 100 {
		t.Errorf("the cut counts %+v", record)
	}
	_, err := e.Restore(Drop, 0)
	must(t, err)
	if at(t, e, 0) != 99 {
		t.Error("a flushed write is lost")
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	_, errNone := Open(Options{Dir: dir})
	errSize := Create(Options{Dir: dir, Size: 100})
	errProfile := Create(Options{Dir: dir, Size: 4096, Profile: "x"})
	e := open(t, Options{})
	_, errPowered := e.Restore(Drop, 0)
	_, errRange := e.WriteAt(make([]byte, 512), e.Size())
	_, errAlign := e.ReadAt(make([]byte, 100), 0)
	errAgain := Create(Options{Dir: e.dir, Size: 4096})
	errSet := e.SetProfile("x")
	e.Cut()
	_, errPolicy := e.Restore("x", 0)
	errMark := e.Mark("x")
	errNoCut := func() error {
		f := open(t, Options{})
		return f.WriteCutLog(&bytes.Buffer{})
	}()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errNone, "create it first"}, {errSize, "multiple of 4096"}, {errProfile, LyingFlush},
		{errPowered, "cut it first"}, {errRange, "not whole sectors"}, {errAlign, "not whole sectors"},
		{errAgain, "file exists"}, {errSet, NoCache}, {errPolicy, "torn"}, {errMark, "restore it"},
		{errNoCut, "there was none"},
	} {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("error %v does not say %q", tt.err, tt.want)
		}
	}
}

// More is pending than the cache keeps in memory.
func TestCacheBeyondMemory(t *testing.T) {
	e := open(t, Options{Size: 96 << 20, Profile: LyingFlush})
	const n = 1 << 20
	for i := range 80 {
		write(t, e, byte(i+1), int64(i)*n, n)
	}
	must(t, e.Discard(10*n, 4096))
	must(t, e.Discard(20*n, 2*n))
	write(t, e, 200, 21*n, 512)
	check := func() {
		t.Helper()
		for off, want := range map[int64]byte{0: 1, 79 * n: 80, 79*n + 4096: 80, 10 * n: 0, 10*n + 4096: 11, 20 * n: 0, 21 * n: 200, 21*n + 512: 0, 22 * n: 23} {
			if got := at(t, e, off); got != want {
				t.Errorf("the sector at %d holds %d, want %d", off, got, want)
			}
		}
	}
	check()
	must(t, e.SetProfile(Honest512))
	must(t, e.Flush())
	check()
	if e.Stats().Uncovered != 0 {
		t.Error("an honest flush after lying ones covers everything")
	}
	e.Cut()
	_, err := e.Restore(Drop, 0)
	must(t, err)
	check()
}

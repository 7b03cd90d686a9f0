package disk

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"syscall"
	"testing"
	"time"
)

// until waits for a condition of the engine.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func arm(t *testing.T, e *Engine, f ...Fault) { t.Helper(); must(t, e.SetFaults(f)) }

func TestLostWrite(t *testing.T) {
	e := open(t, Options{KeepLog: true})
	write(t, e, 1, 0, 4096)
	must(t, e.Flush())
	arm(t, e, Fault{Op: OpWrite, Action: ActLose, Nth: 2, Count: 1})
	write(t, e, 2, 4096, 4096)
	write(t, e, 2, 0, 4096)
	write(t, e, 3, 8192, 4096)
	must(t, e.Flush())
	if at(t, e, 0) != 1 || at(t, e, 4096) != 2 || at(t, e, 8192) != 3 {
		t.Error("another write than the second was lost")
	}
	r := e.Cut()
	if r.Lied != 1 || e.Stats().Lied != 1 {
		t.Errorf("the cut says %+v, want one lie", r)
	}
	l := readLog(t, e.LogPath())
	var marks []string
	for _, x := range l.Entries {
		if strings.HasPrefix(x.Text, "fault: ") {
			marks = append(marks, x.Text)
		}
		if x.Writes() && x.Sector == 0 && x.Index > 4 {
			t.Errorf("the log has the write that was lost: %+v", x)
		}
	}
	if len(marks) != 1 || marks[0] != "fault: write of 4096 bytes at 0 lost" {
		t.Errorf("marks: %q", marks)
	}
	if _, err := e.Restore(Drop, 0); err != nil {
		t.Fatal(err)
	}
	if e.Cut().Lied != 0 {
		t.Error("a lie from before the last cut is told again")
	}
}

func TestLyingFlushOfAFault(t *testing.T) {
	e := open(t, Options{})
	arm(t, e, Fault{Op: OpFlush, Action: ActLose, Count: 1})
	write(t, e, 1, 0, 512)
	must(t, e.Flush())
	if r := e.Cut(); r.Uncovered != 1 || r.Lied != 1 || r.Flushes != 1 {
		t.Errorf("%+v, want one uncovered write after a flush that lied", r)
	}
}

func TestFlippedBit(t *testing.T) {
	diff := func(b []byte) (n int) {
		for _, c := range b {
			n += bits.OnesCount8(c ^ 7)
		}
		return n
	}
	read := func(e *Engine) []byte {
		b := make([]byte, 4096)
		_, err := e.ReadAt(b, 0)
		must(t, err)
		return b
	}
	e := open(t, Options{})
	given := fillBytes(7, 4096)
	arm(t, e, Fault{Op: OpWrite, Action: ActFlip, Count: 1, Seed: 5})
	_, err := e.WriteAt(given, 0)
	must(t, err)
	if diff(given) != 0 || diff(read(e)) != 1 {
		t.Errorf("%d bits of what was given and %d of what was written differ, want 0 and 1", diff(given), diff(read(e)))
	}
	must(t, e.Flush())
	e.Cut()
	if _, err := e.Restore(Drop, 0); err != nil {
		t.Fatal(err)
	}
	if diff(read(e)) != 1 {
		t.Error("the flipped bit is not what the log has")
	}
	write(t, e, 7, 0, 4096)
	arm(t, e, Fault{Op: OpRead, Action: ActFlip, Count: 1})
	if a, b := diff(read(e)), diff(read(e)); a != 1 || b != 0 {
		t.Errorf("reads differ in %d and then %d bits, want 1 and 0: it is in flight", a, b)
	}
	if last := e.Faults()[0].Last; last != "read of 4096 bytes at 0 with a bit flipped" {
		t.Errorf("the fault says %q", last)
	}
}

func TestMisdirectWrapsAtTheEnds(t *testing.T) {
	e := open(t, Options{Size: 64 << 10})
	arm(t, e, Fault{Op: OpWrite, Action: ActMisdirect, Shift: -4096})
	write(t, e, 1, 0, 4096)
	if at(t, e, 0) != 0 || at(t, e, 64<<10-4096-4096+512) != 1 {
		t.Errorf("%q", e.Faults()[0].Last)
	}
}

// A write or a flush that hangs goes on when the disk is healed, and what it does
// is done; a cut lets it go, and then it is not.
func TestHang(t *testing.T) {
	for _, op := range []Operation{OpWrite, OpFlush, OpRead} {
		for _, end := range []string{"heal", "cut", "close", "time"} {
			t.Run(string(op)+" "+end, func(t *testing.T) {
				o := Options{Dir: t.TempDir(), Size: 1 << 20}
				must(t, Create(o))
				e, err := Open(o)
				must(t, err)
				defer e.Close()
				if op != OpWrite {
					write(t, e, 1, 0, 512)
				}
				f := Fault{Op: op, Action: ActHang}
				if end == "time" {
					f.For = 30 * time.Millisecond
				}
				arm(t, e, f)
				done := make(chan error, 1)
				go func() {
					var err error
					switch op {
					case OpWrite:
						_, err = e.WriteAt(fillBytes(1, 512), 0)
					case OpFlush:
						err = e.Flush()
					default:
						_, err = e.ReadAt(make([]byte, 512), 0)
					}
					done <- err
				}()
				if end != "time" {
					until(t, "an operation is stuck", func() bool { return e.Stats().Stuck == 1 })
				}
				switch end {
				case "heal":
					arm(t, e)
				case "cut":
					e.Cut()
				case "close":
					must(t, e.Close())
				}
				err = <-done
				if end == "close" {
					return
				}
				must(t, err)
				if e.Stats().Stuck != 0 {
					t.Error("still stuck")
				}
				uncovered := e.Cut().Uncovered
				want := 1
				if op == OpWrite && end == "cut" || op == OpFlush && end != "cut" {
					want = 0
				}
				if uncovered != want {
					t.Errorf("%d uncovered writes, want %d", uncovered, want)
				}
			})
		}
	}
}

func TestDelay(t *testing.T) {
	e := open(t, Options{})
	arm(t, e, Fault{Op: OpWrite, Action: ActDelay, Delay: 20 * time.Millisecond, Count: 1})
	begun := time.Now()
	write(t, e, 1, 0, 512)
	if took := time.Since(begun); took < 20*time.Millisecond {
		t.Errorf("a write that is delayed by 20ms took %v", took)
	}
	if at(t, e, 0) != 1 {
		t.Error("it was not done")
	}
}

func TestShareIsSeeded(t *testing.T) {
	hits := func(seed uint64) (list string) {
		e := open(t, Options{})
		arm(t, e, Fault{Op: OpWrite, Share: 0.3, Seed: seed})
		for i := range int64(200) {
			if _, err := e.WriteAt(fillBytes(1, 512), i*512); errors.Is(err, syscall.EIO) {
				list += fmt.Sprint(i, " ")
			}
		}
		s := e.Faults()[0]
		if s.Matched != 200 || s.Hit < 30 || s.Hit > 90 {
			t.Errorf("seed %d: %+v, want about 60 of 200", seed, s)
		}
		return list
	}
	first, again := hits(1), hits(1)
	if first != again || first == hits(2) {
		t.Error("the seed does not decide what is hit")
	}
}

func TestFaultOfAFile(t *testing.T) {
	e := open(t, Options{})
	e.Place("db", []Extent{{File: 0, Disk: 64 << 10, Length: 8192}, {File: 16384, Disk: 128 << 10, Length: 4096}})
	fails := func(off int64) bool {
		_, err := e.WriteAt(fillBytes(1, 512), off)
		return errors.Is(err, syscall.EIO)
	}
	arm(t, e, Fault{Op: OpWrite, File: "db", Offset: 4096})
	if fails(64<<10) || !fails(64<<10+4096) || fails(64<<10+8192) || !fails(128<<10) || fails(4096) {
		t.Error("the range of a file is not where the file is")
	}
	e.Place("db", []Extent{{File: 4096, Disk: 0, Length: 512}})
	if !fails(0) || fails(128<<10) {
		t.Error("a file that moved is hit where it was")
	}
	if s := e.Faults()[0]; s.Hit != 3 {
		t.Errorf("the counts began anew: %+v", s)
	}
	// A flush is of a file when it has to cover a write of it.
	arm(t, e, Fault{Op: OpFlush, File: "wal", Nth: 2})
	e.Place("wal", []Extent{{Disk: 256 << 10, Length: 4096}})
	must(t, e.Flush())
	for range 2 {
		write(t, e, 1, 512<<10, 512)
		must(t, e.Flush())
	}
	write(t, e, 1, 256<<10, 512)
	must(t, e.Flush())
	write(t, e, 1, 256<<10, 512)
	if err := e.Flush(); !errors.Is(err, syscall.EIO) {
		t.Errorf("the second flush of a file gives %v", err)
	}
}

func TestHoldAt(t *testing.T) {
	ctx := t.Context()
	hold := func(e *Engine, at Fault) chan [3]any {
		out := make(chan [3]any, 1)
		go func() {
			fired, flushes, uncovered, err := e.HoldAt(ctx, at, time.Minute)
			if err != nil {
				t.Error(err)
			}
			out <- [3]any{fired, flushes, uncovered}
		}()
		until(t, "the trigger is armed", func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.trigger != nil
		})
		return out
	}
	t.Run("flush", func(t *testing.T) {
		e := open(t, Options{})
		held := hold(e, Fault{Op: OpFlush, Nth: 2})
		must(t, e.Flush()) // with nothing to cover, it does not count
		write(t, e, 1, 0, 512)
		must(t, e.Flush())
		write(t, e, 2, 0, 512)
		done := make(chan error)
		go func() { done <- e.Flush() }()
		if got := <-held; got != [3]any{true, 1, 1} {
			t.Errorf("%v", got)
		}
		if r := e.Cut(); r.Held != 1 || r.Uncovered != 1 {
			t.Errorf("%+v", r)
		}
		must(t, <-done)
	})
	t.Run("write of a file", func(t *testing.T) {
		e := open(t, Options{})
		e.Place("db", []Extent{{Disk: 4096, Length: 8192}})
		held := hold(e, Fault{Op: OpWrite, File: "db", Length: 4096})
		write(t, e, 1, 8192, 512)
		must(t, e.Flush())
		write(t, e, 1, 4096, 512)
		done := make(chan error)
		go func() { done <- e.Flush() }()
		if got := <-held; got != [3]any{true, 1, 1} {
			t.Errorf("%v", got)
		}
		e.Release()
		must(t, <-done)
	})
	t.Run("never", func(t *testing.T) {
		e := open(t, Options{})
		if fired, _, _, err := e.HoldAt(ctx, Fault{Op: OpFlush}, time.Millisecond); fired || err != nil {
			t.Errorf("%v, %v", fired, err)
		}
		write(t, e, 1, 0, 512)
		must(t, e.Flush()) // is not held back
		held := hold(e, Fault{Op: OpFlush})
		e.Release()
		if got := <-held; got != [3]any{false, 0, 0} {
			t.Errorf("%v", got)
		}
		if _, _, _, err := e.HoldAt(ctx, Fault{Op: "fsync"}, time.Second); err == nil {
			t.Error("an unknown operation is waited for")
		}
		e.Cut()
		if _, _, _, err := e.HoldAt(ctx, Fault{Op: OpFlush}, time.Second); !errors.Is(err, ErrNoPower) {
			t.Errorf("%v", err)
		}
	})
}

func TestCheckFault(t *testing.T) {
	e := open(t, Options{})
	for want, f := range map[string]Fault{
		`operation "fsync"`:                  {Op: "fsync"},
		`action "explode"`:                   {Op: OpWrite, Action: "explode"},
		`a read has no action lose`:          {Op: OpRead, Action: ActLose},
		`a flush has no action tear`:         {Op: OpFlush, Action: ActTear},
		`a delay of 0s`:                      {Op: OpRead, Action: ActDelay},
		`a delay of 1s`:                      {Op: OpRead, Delay: time.Second},
		`a delay of 2m0s`:                    {Op: OpRead, Action: ActDelay, Delay: 2 * time.Minute},
		`a shift of 0 bytes`:                 {Op: OpWrite, Action: ActMisdirect},
		`a shift of 100 bytes`:               {Op: OpWrite, Action: ActMisdirect, Shift: 100},
		`a shift of 512 bytes: action misdi`: {Op: OpWrite, Shift: 512},
		`a share of 1.5`:                     {Op: OpWrite, Share: 1.5},
		`a flush has no offset`:              {Op: OpFlush, Length: 512},
	} {
		if err := e.SetFaults([]Fault{f}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", f, err, want)
		}
	}
	// Of a file anything may be beyond this disk's end.
	arm(t, e, Fault{Op: OpFlush, File: "db", Offset: 1 << 40, Length: 1})
}

func TestTornWriteOfAFault(t *testing.T) {
	e := open(t, Options{})
	arm(t, e, Fault{Op: OpWrite, Action: ActTear, Count: 1, Seed: 3})
	write(t, e, 1, 0, 512) // one sector cannot be torn
	write(t, e, 2, 4096, 4096)
	b := make([]byte, 4096)
	_, err := e.ReadAt(b, 4096)
	must(t, err)
	if n := bytes.Count(b, []byte{2}); n == 0 || n == 4096 || n%512 != 0 {
		t.Errorf("%d of 4096 bytes of a torn write are there", n)
	}
	if at(t, e, 0) != 1 || e.Faults()[0].Hit != 1 {
		t.Errorf("%+v", e.Faults()[0])
	}
}

package disk

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCutByPolicy(t *testing.T) {
	for _, tt := range []struct {
		policy  Policy
		profile string
		want    [3]byte // after: 1 flushed, 2 not, 3 as FUA
	}{
		{Drop, Honest512, [3]byte{1, 0, 3}},
		{Keep, Honest512, [3]byte{1, 2, 3}},
		{Drop, NoCache, [3]byte{1, 2, 3}},
		{Drop, LyingFlush, [3]byte{0, 0, 0}},
		{Keep, LyingFlush, [3]byte{1, 2, 3}},
		{Drop, FUA, [3]byte{1, 0, 3}},
	} {
		t.Run(string(tt.policy)+"/"+tt.profile, func(t *testing.T) {
			e := open(t, Options{Profile: tt.profile})
			write(t, e, 1, 0, 4096)
			must(t, e.Flush())
			write(t, e, 2, 4096, 4096)
			_, err := e.WriteFUA(fillBytes(3, 4096), 8192)
			must(t, err)
			e.Cut()
			write(t, e, 9, 0, 4096)
			_, err = e.Restore(tt.policy, 0)
			must(t, err)
			if got := [3]byte{at(t, e, 0), at(t, e, 4096), at(t, e, 8192)}; got != tt.want {
				t.Errorf("the disk holds %v, want %v", got, tt.want)
			}
		})
	}
}

// A later durable write of a sector wins over an earlier one that survived.
func TestDurableWriteWins(t *testing.T) {
	for _, policy := range []Policy{Drop, Keep} {
		e := open(t, Options{})
		write(t, e, 1, 0, 4096)
		_, err := e.WriteFUA(fillBytes(2, 512), 512)
		must(t, err)
		e.Cut()
		_, err = e.Restore(policy, 0)
		must(t, err)
		if got := at(t, e, 512); got != 2 {
			t.Errorf("%s: the sector holds %d, not what was written as FUA", policy, got)
		}
	}
}

func TestHeldFlush(t *testing.T) {
	for _, cut := range []bool{true, false} {
		e := open(t, Options{})
		write(t, e, 1, 0, 512)
		e.Hold(context.Background(), 0)
		held := make(chan error, 1)
		go func() { held <- e.Flush() }()
		flushes, uncovered := e.Hold(context.Background(), time.Minute)
		if flushes != 1 || uncovered != 1 {
			t.Fatalf("hold found %d flushes and %d uncovered writes, want 1 and 1", flushes, uncovered)
		}
		write(t, e, 2, 512, 512)
		if at(t, e, 0) != 1 {
			t.Error("a read behind a held flush is wrong")
		}
		if !cut {
			e.Release()
			must(t, <-held)
		}
		record := e.Cut()
		if cut {
			must(t, <-held)
		}
		want := map[bool][3]int{true: {1, 2, 0}, false: {0, 1, 1}}[cut]
		if record.Held != want[0] || record.Uncovered != want[1] {
			t.Errorf("the cut found %+v, want %d held and %d uncovered", record, want[0], want[1])
		}
		_, err := e.Restore(Drop, 0)
		must(t, err)
		if got := at(t, e, 0); int(got) != want[2] {
			t.Errorf("after the cut the sector holds %d, want %d", got, want[2])
		}
		if got := at(t, e, 512); got != 0 {
			t.Errorf("a write behind the flush survived with drop: %d", got)
		}
	}
}

func TestFaults(t *testing.T) {
	now := int64(0)
	e := open(t, Options{Clock: func() int64 { return now }})
	write(t, e, 1, 0, 512)
	must(t, e.SetFaults([]Fault{
		{Op: OpFlush, Nth: 2, Count: 1},
		{Op: OpRead, Offset: 4096, Length: 512},
		{Op: OpWrite, Offset: 8192, For: time.Second},
	}))
	read := func(off int64) error { _, err := e.ReadAt(make([]byte, 512), off); return err }
	put := func(off int64) error { _, err := e.WriteAt(make([]byte, 512), off); return err }
	for i, tt := range []struct {
		err  error
		fail bool
	}{
		{e.Flush(), false}, {e.Flush(), true}, {e.Flush(), false},
		{read(0), false}, {read(4096), true}, {read(4608), false},
		{put(0), false}, {put(8192), true}, {e.Discard(1<<19, 512), true},
	} {
		if errors.Is(tt.err, syscall.EIO) != tt.fail {
			t.Errorf("operation %d: error %v, want failure %v", i, tt.err, tt.fail)
		}
	}
	now = int64(time.Second)
	must(t, put(8192))
	for i, want := range []uint64{1, 1, 2} {
		if got := e.Faults()[i].Hit; got != want {
			t.Errorf("fault %d was hit %d times, want %d", i, got, want)
		}
	}
	if e.Stats().Errors != 4 {
		t.Errorf("%d errors counted, want 4", e.Stats().Errors)
	}
	if err := e.SetFaults([]Fault{{Op: "discard"}}); err == nil || !strings.Contains(err.Error(), "flush") {
		t.Errorf("an unknown operation gives %v", err)
	}
}

// A failed flush covers nothing, a later good one covers it all.
func TestFailedFlushCoversNothing(t *testing.T) {
	e := open(t, Options{})
	must(t, e.SetFaults([]Fault{{Op: OpFlush, Count: 1}}))
	write(t, e, 1, 0, 512)
	if e.Flush() == nil {
		t.Fatal("the flush did not fail")
	}
	if e.Stats().Uncovered != 1 {
		t.Fatal("a failed flush covered a write")
	}
	must(t, e.Flush())
	e.Cut()
	_, err := e.Restore(Drop, 0)
	must(t, err)
	if at(t, e, 0) != 1 {
		t.Error("the later flush did not cover the write")
	}
}

// The same bytes come out of Restore and of a replay of the whole log, and the
// log of the cut tells the same uncovered writes.
func TestRestoreIsReplay(t *testing.T) {
	for _, profile := range Profiles() {
		for seed := range uint64(20) {
			policy := Policies[seed%5]
			e := open(t, Options{Profile: profile, KeepLog: true, Size: 256 << 10})
			scribble(t, e, seed, 60)
			record := e.Cut()
			log := readLog(t, e.LogPath())
			base := openCopy(t, BasePath(e.dir))
			choice, err := e.Restore(policy, seed)
			must(t, err)
			again, err := Replay(log, base, e.Size(), record.Position, policy, seed, profile)
			must(t, err)
			if again != choice {
				t.Errorf("%s %s %d: restored %+v, replayed %+v", profile, policy, seed, choice, again)
			}
			if !bytes.Equal(contents(t, base), contents(t, e.image)) {
				t.Errorf("%s %s %d: restore and replay give different bytes", profile, policy, seed)
			}
			var tail bytes.Buffer
			must(t, e.WriteCutLog(&tail))
			l, err := OpenLog(bytes.NewReader(tail.Bytes()), int64(tail.Len()))
			must(t, err)
			if got := len(l.Uncovered(1 << 40)); got != record.Uncovered || !l.EndMarks {
				t.Errorf("%s %d: the log of the cut has %d uncovered writes, the cut had %d", profile, seed, got, record.Uncovered)
			}
		}
	}
}

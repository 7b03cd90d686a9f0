package agent

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// ownDisk is a real engine, front, loop device and ext4 of an agent without etcd.
func ownDisk(t *testing.T) (*Agent, *faultDisk) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("missing: root, for a loop device and a mount")
	}
	dir, err := os.MkdirTemp("", "agentdisk")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	c := &Config{
		Lab: "files", Member: "m1", dir: dir, StateDir: filepath.Join(dir, "state"), DataDir: filepath.Join(dir, DataMount, "etcd"),
		Disk: spec.Disk{Kind: "fault", FS: "ext4", Size: 64 << 20, Profile: disk.Honest512},
	}
	must(t, os.MkdirAll(c.StateDir, 0o700))
	must(t, firstDisk(ctx, c))
	d, err := openFaultDisk(c)
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(t, d.close(ctx, true))
	})
	_, err = d.powerOn(ctx)
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(c.DataDir, "member", "wal"), 0o700))
	must(t, os.MkdirAll(filepath.Join(c.DataDir, "member", "snap"), 0o700))
	return &Agent{cfg: c, disk: d, linkUp: true}, d
}

// file writes a file with n random bytes and flushes it.
func (a *Agent) file(t *testing.T, name string, n int) ([]byte, *os.File) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(a.cfg.DataDir, "member", name), os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	_, err = f.WriteAt(b, 0)
	must(t, err)
	must(t, f.Sync())
	return b, f
}

func TestFilesAreFoundOnTheirDisk(t *testing.T) {
	a, d := ownDisk(t)
	ctx := t.Context()
	if x, err := a.Extents(ctx, lab.FileDB); err != nil || x != nil {
		t.Errorf("a db that is not there: %v, %v", x, err)
	}
	check := func(name string, b []byte) {
		t.Helper()
		x, err := a.Extents(ctx, name)
		must(t, err)
		got := make([]byte, len(b))
		covered := int64(0)
		for _, e := range x {
			n := min(e.Length, int64(len(b))-e.File)
			_, err := d.engine.ReadAt(got[e.File:e.File+n/512*512], e.Disk)
			must(t, err)
			covered += n
		}
		if covered != int64(len(b)) || !bytes.Equal(got[:len(b)/512*512], b[:len(b)/512*512]) {
			t.Errorf("%s: the disk has other bytes where %v says", name, x)
		}
	}
	old, _ := a.file(t, "wal/0000000000000000-0000000000000000.wal", 1<<20)
	check(lab.FileWAL, old)
	_, _ = a.file(t, "wal/1.tmp", 4096)
	newest, _ := a.file(t, "wal/0000000000000001-00000000000000ff.wal", 256<<10)
	check(lab.FileWAL, newest)
	db, _ := a.file(t, "snap/db", 3<<20)
	check(lab.FileDB, db)
	a.cfg.Disk.FS = "btrfs"
	var u *lab.UnsupportedError
	if _, err := a.Extents(ctx, lab.FileDB); !errors.As(err, &u) {
		t.Errorf("on btrfs: %v", err)
	}
}

func TestFaultsFollowFiles(t *testing.T) {
	a, d := ownDisk(t)
	ctx := t.Context()
	_, wal := a.file(t, "wal/0000000000000000-0000000000000000.wal", 64<<10)
	_, db := a.file(t, "snap/db", 64<<10)
	must(t, d.setFaults(ctx, []disk.Fault{{Op: disk.OpFlush, File: lab.FileWAL, Count: 1}}))
	put := func(f *os.File) error {
		_, err := f.WriteAt([]byte(time.Now().String()), 0)
		must(t, err)
		return unix.Fdatasync(int(f.Fd()))
	}
	must(t, put(db))
	if err := put(wal); !errors.Is(err, syscall.EIO) {
		t.Errorf("the WAL's flush gives %v", err)
	}
	must(t, put(wal))
	// The segment rolls: the fault goes with it.
	must(t, d.setFaults(ctx, []disk.Fault{{Op: disk.OpWrite, Action: disk.ActDelay, Delay: time.Millisecond, File: lab.FileWAL}}))
	_, next := a.file(t, "wal/0000000000000001-0000000000000009.wal", 64<<10)
	before := d.faults()[0].Hit
	await(t, "the new segment to be known", func() bool {
		must(t, put(next))
		return d.faults()[0].Hit > before
	})
	hits := d.faults()[0].Hit
	must(t, put(wal))
	if d.faults()[0].Hit != hits {
		t.Error("the old segment is still hit")
	}
	must(t, d.setFaults(ctx, nil))
}

func TestMoments(t *testing.T) {
	a, d := ownDisk(t)
	ctx := t.Context()
	_, wal := a.file(t, "wal/0.tmp", 64<<10)
	_, db := a.file(t, "snap/db", 64<<10)
	for _, c := range []struct {
		at lab.Moment
		do func(i int) error
	}{
		{lab.Moment{At: lab.AtMeta}, func(int) error {
			_, err := db.WriteAt([]byte(time.Now().String()), 4096)
			return errors.Join(err, db.Sync())
		}},
		{lab.Moment{At: lab.AtFlush, File: lab.FileDB, Nth: 2}, func(int) error {
			_, err := db.WriteAt([]byte(time.Now().String()), 32<<10)
			return errors.Join(err, db.Sync())
		}},
		{lab.Moment{At: lab.AtWALRoll}, func(i int) error {
			dir := filepath.Join(a.cfg.DataDir, "member", "wal")
			_, err := wal.WriteAt([]byte(time.Now().String()), 0)
			tmp := filepath.Join(dir, "next.tmp")
			return errors.Join(err, os.WriteFile(tmp, []byte("x"), 0o600), os.Rename(tmp, filepath.Join(dir, string(rune('a'+i%26))+".wal")))
		}},
	} {
		t.Run(c.at.At, func(t *testing.T) {
			held := make(chan lab.Held, 1)
			go func() {
				h, err := a.HoldAt(ctx, c.at, time.Minute)
				if err != nil {
					t.Error(err)
				}
				held <- h
			}()
			stop := make(chan struct{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(5 * time.Millisecond):
					}
					if err := c.do(i); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			h := <-held
			if !h.Fired || c.at.At != lab.AtWALRoll && (h.Flushes == 0 || h.Uncovered == 0) {
				t.Errorf("%+v", h)
			}
			close(stop)
			must(t, a.Release(ctx))
			<-done
		})
	}
	if h, err := a.HoldAt(ctx, lab.Moment{At: lab.AtSnapRename}, 10*time.Millisecond); err != nil || h.Fired {
		t.Errorf("what does not come: %+v, %v", h, err)
	}
	if h, err := a.HoldAt(ctx, lab.Moment{At: lab.AtExit}, time.Second); err != nil || !h.Fired {
		t.Errorf("an etcd that does not run has ended: %+v, %v", h, err)
	}
	must(t, a.Release(ctx))
	_ = d
}

func TestNoSpace(t *testing.T) {
	a, _ := ownDisk(t)
	ctx := t.Context()
	before, err := a.Space(ctx)
	must(t, err)
	full, err := a.Fill(ctx, 0)
	must(t, err)
	if full.Ballast == 0 || full.Free > before.Free/2 {
		t.Errorf("%+v, before %+v", full, before)
	}
	if _, err := a.Fill(ctx, 0); err != nil {
		t.Errorf("filled twice: %v", err)
	}
	big := make([]byte, 1<<20)
	if err := os.WriteFile(filepath.Join(a.cfg.DataDir, "x"), big, 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a write on a full disk: %v", err)
	}
	for range 2 {
		after, err := a.Unfill(ctx)
		must(t, err)
		if after.Ballast != 0 {
			t.Errorf("%+v", after)
		}
	}
	must(t, os.WriteFile(filepath.Join(a.cfg.DataDir, "x"), big, 0o600))
	if some, err := a.Fill(ctx, 8<<20); err != nil || os.WriteFile(filepath.Join(a.cfg.DataDir, "y"), big, 0o600) != nil {
		t.Errorf("with some left: %+v, %v", some, err)
	}
	_, err = (&Agent{cfg: a.cfg}).Fill(ctx, 0)
	var u *lab.UnsupportedError
	if !errors.As(err, &u) {
		t.Errorf("a plain disk was filled: %v", err)
	}
}

func TestDamageIsUndone(t *testing.T) {
	dir := t.TempDir()
	a := &Agent{cfg: &Config{Member: "m1", DataDir: filepath.Join(dir, "etcd")}}
	ctx := t.Context()
	must(t, os.MkdirAll(filepath.Join(a.cfg.DataDir, "member", "snap"), 0o700))
	if _, err := a.Damage(ctx, lab.Damage{File: lab.FileDB, Kind: lab.DamageFlip}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
	b, f := a.file(t, "snap/db", 10_000)
	must(t, f.Truncate(1<<20)) // preallocated
	b = append(b, make([]byte, 1<<20-len(b))...)
	now := func() []byte {
		t.Helper()
		got, err := os.ReadFile(f.Name())
		must(t, err)
		return got
	}
	for seed := range uint64(20) {
		for _, kind := range []string{lab.DamageFlip, lab.DamageTruncate} {
			done, err := a.Damage(ctx, lab.Damage{File: lab.FileDB, Kind: kind, Seed: seed})
			must(t, err)
			got := now()
			switch kind {
			case lab.DamageFlip:
				want := bytes.Clone(b)
				want[done.Offset] ^= 1 << done.Bit
				if !bytes.Equal(got, want) || done.Old != b[done.Offset] || done.New != want[done.Offset] || done.Offset > 10_240 {
					t.Errorf("%v is not what was done", done)
				}
			default:
				if int64(len(got)) != done.Offset || done.Offset >= 10_240 || done.Offset+done.Lost < 10_000 {
					t.Errorf("%v: %d bytes are left", done, len(got))
				}
			}
			if !a.status0() {
				t.Error("nobody knows that it is damaged")
			}
			all, err := a.Repair(ctx)
			must(t, err)
			if len(all) != 1 || !all[0].Restored || !bytes.Equal(now(), b) || a.status0() {
				t.Fatalf("repaired: %+v", all)
			}
		}
	}
	// What etcd has written since is not touched.
	for _, kind := range []string{lab.DamageFlip, lab.DamageTruncate} {
		done, err := a.Damage(ctx, lab.Damage{File: lab.FileDB, Kind: kind, Seed: 1})
		must(t, err)
		_, err = f.WriteAt([]byte("etcd"), done.Offset/aroundBytes*aroundBytes+8)
		must(t, err)
		_, err = f.WriteAt([]byte("etcd"), max(0, done.Offset-8))
		must(t, err)
		before := now()
		all, err := a.Repair(ctx)
		must(t, err)
		if len(all) != 1 || all[0].Restored || !bytes.Equal(now(), before) {
			t.Errorf("%+v", all)
		}
	}
	if all, err := a.Repair(ctx); err != nil || len(all) != 0 {
		t.Errorf("repaired twice: %v, %v", all, err)
	}
}

func (a *Agent) status0() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.damaged
}

func FuzzUndo(f *testing.F) {
	f.Add([]byte(`{"path":"member/wal/0.wal","kind":"flip","offset":5,"at":0,"was":"AAAAAAAAAAAA"}`))
	f.Add([]byte(`{"path":"../x","kind":"truncate","offset":5,"at":0,"was":"AAAA","saved":"../y"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := parseUndo(b)
		if err == nil && (!filepath.IsLocal(u.Path) || u.Saved != "" && u.Saved != filepath.Base(u.Saved)) {
			t.Errorf("%+v", u)
		}
	})
}

func FuzzInotify(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00a.wal\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) { _ = movedTo(b) })
}

func TestFilesOfAnyHost(t *testing.T) {
	ctx := context.Background()
	f := &fake{}
	c := serveFake(t, f)
	if x, err := c.Extents(ctx, lab.FileWAL); err != nil || len(x) != 1 || x[0].Disk != 2 {
		t.Errorf("%v %v", x, err)
	}
	if h, err := c.HoldAt(ctx, lab.Moment{At: lab.AtFlush, Nth: 3}, time.Second); err != nil || !h.Fired {
		t.Errorf("%v %v", h, err)
	}
	if s, err := c.Fill(ctx, 7); err != nil || s.Free != 7 {
		t.Errorf("%v %v", s, err)
	}
	if _, err := c.Unfill(ctx); err != nil {
		t.Error(err)
	}
	if d, err := c.Damage(ctx, lab.Damage{File: lab.FileDB, Kind: lab.DamageFlip, Seed: 1 << 63}); err != nil || d.Bit != 3 {
		t.Errorf("%v %v", d, err)
	}
	if r, err := c.Repair(ctx); err != nil || len(r) != 1 || !r[0].Restored {
		t.Errorf("%v %v", r, err)
	}
	var e *Error
	for what, err := range map[string]error{
		"a file":   func() error { _, err := c.Extents(ctx, "passwd"); return err }(),
		"a moment": func() error { _, err := c.HoldAt(ctx, lab.Moment{At: "noon"}, time.Second); return err }(),
		"no time":  func() error { _, err := c.HoldAt(ctx, lab.Moment{At: lab.AtFlush}, time.Hour); return err }(),
		"less":     func() error { _, err := c.Fill(ctx, -1); return err }(),
		"damage":   func() error { _, err := c.Damage(ctx, lab.Damage{File: "db", Kind: "melt"}); return err }(),
		"outside":  func() error { _, err := c.Damage(ctx, lab.Damage{File: "../db", Kind: "flip"}); return err }(),
	} {
		if !errors.As(err, &e) || e.Kind != kindInvalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	want := "hold at {At:flush File: Nth:3} within 1s; fill 7; unfill; damage {File:db Kind:flip Seed:9223372036854775808}"
	if got := f.said(); got != want {
		t.Errorf("called:\n%s, want\n%s", got, want)
	}
}

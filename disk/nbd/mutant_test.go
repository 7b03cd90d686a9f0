package nbd

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/conformance"
)

// Servers with one bug each. The suite has to find all of them, or it would
// not find them in the real one.

// ignoresFlush answers a flush without flushing.
type ignoresFlush struct{ *disk.Engine }

func (ignoresFlush) Flush() error { return nil }

// ignoresFUA takes a FUA write for any other.
type ignoresFUA struct{ *disk.Engine }

func (b ignoresFUA) WriteFUA(p []byte, off int64) (int, error) { return b.WriteAt(p, off) }

// ignoresTrim answers a trim that was advertised and does nothing.
type ignoresTrim struct{ *disk.Engine }

func (ignoresTrim) Discard(int64, int64) error { return nil }

// ignoresZeroes does the same with zeroes.
type ignoresZeroes struct{ *disk.Engine }

func (ignoresZeroes) WriteZeroes(int64, int64) error { return nil }

// remembers answers reads of what was written through it from a cache that a
// restore does not empty.
type remembers struct {
	*disk.Engine
	mu     sync.Mutex
	blocks map[int64][]byte
}

func (b *remembers) WriteAt(p []byte, off int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at := 0; at+4096 <= len(p); at += 4096 {
		b.blocks[off+int64(at)] = append([]byte(nil), p[at:at+4096]...)
	}
	return b.Engine.WriteAt(p, off)
}

func (b *remembers) ReadAt(p []byte, off int64) (int, error) {
	n, err := b.Engine.ReadAt(p, off)
	b.mu.Lock()
	defer b.mu.Unlock()
	for at := 0; at+4096 <= len(p); at += 4096 {
		if block := b.blocks[off+int64(at)]; block != nil {
			copy(p[at:], block)
		}
	}
	return n, err
}

// later does things later than it says: when somebody waits for them, and not
// after some time, in which a busy machine may not even come to the cut.
type later struct {
	mu   sync.Mutex
	left []func()
}

func (l *later) do(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = append(l.left, f)
}

func (l *later) wait() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.left {
		f()
	}
	l.left = nil
}

// writesLate acknowledges a write that is not in the engine yet. Only a cut
// that comes next can tell.
type writesLate struct {
	*disk.Engine
	*later
}

func (b writesLate) WriteAt(p []byte, off int64) (int, error) {
	p = bytes.Clone(p)
	b.do(func() { _, _ = b.Engine.WriteAt(p, off) })
	return len(p), nil
}

func (b writesLate) Flush() error {
	b.wait()
	return b.Engine.Flush()
}

func (b writesLate) ReadAt(p []byte, off int64) (int, error) {
	b.wait()
	return b.Engine.ReadAt(p, off)
}

// flushesLate acknowledges a flush before it has begun; the next write finds it
// done.
type flushesLate struct {
	*disk.Engine
	*later
}

func (b flushesLate) WriteAt(p []byte, off int64) (int, error) {
	b.wait()
	return b.Engine.WriteAt(p, off)
}

func (b flushesLate) Flush() error {
	b.do(func() { _ = b.Engine.Flush() })
	return nil
}

// flushesAlways makes every write durable, so that power loss loses nothing.
type flushesAlways struct{ *disk.Engine }

func (b flushesAlways) WriteAt(p []byte, off int64) (int, error) { return b.Engine.WriteFUA(p, off) }

// hidesErrors answers a failed flush as if it had gone well.
type hidesErrors struct{ *disk.Engine }

func (b hidesErrors) Flush() error {
	_ = b.Engine.Flush()
	return nil
}

// tearsWrites divides a write that its user sent as one.
type tearsWrites struct{ *disk.Engine }

func (b tearsWrites) WriteAt(p []byte, off int64) (int, error) {
	for at := 0; at < len(p); at += 512 {
		if n, err := b.Engine.WriteAt(p[at:min(at+512, len(p))], off+int64(at)); err != nil {
			return at + n, err
		}
	}
	return len(p), nil
}

// oneAtATime serves no request beside another.
type oneAtATime struct {
	*disk.Engine
	mu *sync.Mutex
}

func (b oneAtATime) Flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Engine.Flush()
}

func (b oneAtATime) ReadAt(p []byte, off int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Engine.ReadAt(p, off)
}

// failsDark answers with errors once the power is gone.
type failsDark struct{ *disk.Engine }

func (b failsDark) Flush() error {
	if !b.Stats().Powered {
		return disk.ErrNoPower
	}
	return b.Engine.Flush()
}

func TestSuiteFindsBugs(t *testing.T) {
	for name, tt := range map[string]struct {
		wrap func(*disk.Engine) backend
		by   string // one of the tests that must find it
	}{
		"has no bug":                        {func(e *disk.Engine) backend { return e }, ""},
		"answers a flush without flushing":  {func(e *disk.Engine) backend { return ignoresFlush{e} }, "SyncedSurvives"},
		"ignores FUA":                       {func(e *disk.Engine) backend { return ignoresFUA{e} }, "FUASurvives"},
		"ignores trims":                     {func(e *disk.Engine) backend { return ignoresTrim{e} }, "DiscardReadsZero"},
		"ignores zeroes":                    {func(e *disk.Engine) backend { return ignoresZeroes{e} }, "ZeroesReadZero"},
		"reads what was before the restore": {func(e *disk.Engine) backend { return &remembers{Engine: e, blocks: map[int64][]byte{}} }, "NoStaleCache"},
		"acknowledges before it writes":     {func(e *disk.Engine) backend { return writesLate{e, new(later)} }, "CutCounts"},
		"acknowledges before it flushes":    {func(e *disk.Engine) backend { return flushesLate{e, new(later)} }, "SyncedSurvives"},
		"makes every write durable":         {func(e *disk.Engine) backend { return flushesAlways{e} }, "UnsyncedIsLost"},
		"hides a failed flush":              {func(e *disk.Engine) backend { return hidesErrors{e} }, "FailsFlush"},
		"divides writes":                    {func(e *disk.Engine) backend { return tearsWrites{e} }, "CutCounts"},
		"serves one at a time":              {func(e *disk.Engine) backend { return oneAtATime{e, new(sync.Mutex)} }, "HeldFlushKeepsNobodyWaiting"},
		"complains without power":           {func(e *disk.Engine) backend { return failsDark{e} }, "CutIsSilent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := conformance.Failures(t, func(t testing.TB) *conformance.Front {
				e := newEngine(t, disk.Options{Profile: disk.FUA})
				b := tt.wrap(e)
				if b, ok := b.(interface{ wait() }); ok {
					t.Cleanup(b.wait)
				}
				return front(t, e, serveBackend(t, b, e.Release))
			})
			if tt.by == "" {
				if len(found) > 0 {
					t.Errorf("found: %q", found)
				}
				return
			}
			for _, f := range found {
				if strings.HasPrefix(f, tt.by+": ") {
					t.Logf("%d failures, among them %s", len(found), f)
					return
				}
			}
			t.Errorf("%s does not find it; found: %q", tt.by, found)
		})
	}
}

package disk

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// Of two flushes that were held back, the later one may go first and fold the
// log. The earlier one has then nothing left to do: its index is of a log that
// is gone, and in the new one it would cover writes that came after it.
func TestAHeldFlushOutlivesItsLog(t *testing.T) {
	for range 100 {
		e := open(t, Options{LogLimit: 8 * SectorSize})
		must(t, e.Mark("long enough to be folded"))
		for range 8 {
			must(t, e.Mark("more"))
		}
		var wg sync.WaitGroup
		e.Hold(t.Context(), time.Nanosecond)
		for i := range 2 {
			write(t, e, 1, int64(i)*4096, 4096)
			wg.Go(func() {
				if err := e.Flush(); err != nil {
					t.Error(err)
				}
			})
			for held := 0; held <= i; {
				held, _ = e.Hold(t.Context(), time.Minute)
			}
		}
		e.Release()
		wg.Wait()
		must(t, e.Mark("brings the file up to date"))
		for _, x := range readLog(t, e.LogPath()).Entries {
			if _, ok := flushEnd(x.Text); !ok && strings.HasPrefix(x.Text, markFlushEnd) {
				t.Fatalf("entry %d is %q: the end of a flush of another log", x.Index, x.Text)
			}
		}
	}
}

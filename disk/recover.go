package disk

import (
	"fmt"
	"strings"
)

// recover finishes what a process that died was doing to the image. Otherwise
// the image is right as it is: a flush writes to it before it completes, and
// nothing that no flush covers ever does, so that at most the writes of a flush
// that had not completed are there or not, one by one. It must then not be
// touched: the log's file may lag behind it.
func (e *Engine) recover() error {
	f := e.log().f
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return nil
	}
	l, err := OpenLog(f, info.Size())
	if err != nil {
		return err
	}
	if len(l.Entries) == 0 {
		return nil
	}
	last := &l.Entries[len(l.Entries)-1]
	policy, seed := Drop, uint64(0)
	if back, ok := strings.CutPrefix(last.Text, markCovering); ok {
		last.Text = markFlushEnd + back
	} else if n, _ := fmt.Sscanf(last.Text, markRestore+"%s %d", &policy, &seed); n != 2 {
		return nil
	}
	_, err = Replay(l, e.image, e.size, uint64(len(l.Entries)), policy, seed, e.profile.name)
	return err
}

package verify

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// recorded reads what the recorders were told of revisions above base up to a
// compaction, which the stores do not tell any more. Of several accounts of a
// revision the longest counts; that they are all the same is for the watch
// check to see.
func recorded(path string, run *history.Run, keys *keyTable, upTo int64) ([]datadir.Revision, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := history.NewWatchReader(f)
	if err != nil {
		return nil, err
	}
	var order []uint64
	tapes := make(map[uint64][]datadir.Revision)
	var rec history.WatchRecord
	for {
		if err := r.Next(&rec); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if rec.Kind == history.WatchOpened && rec.Request != nil && rec.Request.Recorder {
			order = append(order, rec.Watch)
			tapes[rec.Watch] = nil
		}
		tape, recorder := tapes[rec.Watch]
		if !recorder {
			continue
		}
		for i := range rec.Events {
			if main := rec.Events[i].KV.ModRevision; main > run.Base.Revision && main <= upTo {
				tape = append(tape, told(&rec.Events[i], run, keys))
			}
		}
		tapes[rec.Watch] = tape
	}
	var all []datadir.Revision
	for _, watch := range order {
		all = joinTapes(all, tapes[watch])
		delete(tapes, watch)
	}
	sub := uint32(0)
	for i := range all {
		if sub++; i == 0 || all[i].Main != all[i-1].Main {
			sub = 0
		}
		all[i].Sub = sub
	}
	return all, nil
}

// told is a watch's event as the record that it tells of.
func told(e *history.WatchEvent, run *history.Run, keys *keyTable) datadir.Revision {
	kv := &e.KV
	r := datadir.Revision{Main: kv.ModRevision, Key: keys.id(kv.Key)}
	if e.Delete {
		r.Flags |= datadir.Tombstone
	}
	if !strings.HasPrefix(kv.Key, run.Prefix) {
		r.Flags |= datadir.Foreign
		return r
	}
	if e.Delete {
		return r
	}
	r.Value, r.Size, r.Create, r.Version, r.Lease = datadir.Hash(kv.Value), uint32(len(kv.Value)), kv.CreateRevision, kv.Version, kv.Lease
	if name, ok := history.ParseValue(kv.Value); ok && name.RunID == run.ID && name.N < 1<<16 {
		r.Flags |= datadir.Named
		r.Op, r.Client, r.N = name.Op, name.Client, uint16(name.N)
	}
	return r
}

// joinTapes merges two accounts, each in order of revision as far as the watch
// was; what comes out of order is left to the watch check.
func joinTapes(a, b []datadir.Revision) []datadir.Revision {
	if len(a) == 0 {
		return inOrder(b)
	}
	b = inOrder(b)
	out := make([]datadir.Revision, 0, max(len(a), len(b)))
	for len(a) > 0 || len(b) > 0 {
		i, j := groupLen(a), groupLen(b)
		switch {
		case j == 0 || i > 0 && a[0].Main < b[0].Main:
			out, a = append(out, a[:i]...), a[i:]
		case i == 0 || b[0].Main < a[0].Main:
			out, b = append(out, b[:j]...), b[j:]
		case j > i:
			out, a, b = append(out, b[:j]...), a[i:], b[j:]
		default:
			out, a, b = append(out, a[:i]...), a[i:], b[j:]
		}
	}
	return out
}

// inOrder leaves out what comes too late or again: no revision has a key twice.
func inOrder(tape []datadir.Revision) []datadir.Revision {
	n := 0
next:
	for i := range tape {
		if n > 0 && tape[i].Main < tape[n-1].Main {
			continue
		}
		for j := n - 1; j >= 0 && tape[j].Main == tape[i].Main; j-- {
			if tape[j].Key == tape[i].Key {
				continue next
			}
		}
		tape[n] = tape[i]
		n++
	}
	return tape[:n]
}

func groupLen(recs []datadir.Revision) int {
	n := 0
	for n < len(recs) && recs[n].Main == recs[0].Main {
		n++
	}
	return n
}

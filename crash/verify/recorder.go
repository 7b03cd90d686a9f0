package verify

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// tapes is what the recorders were told, joined: of several accounts of a
// revision the one that most agree on, or else the longest. The rest are others.
type tapes struct {
	recs   []datadir.Revision
	others map[int64][][]datadir.Revision
}

// recorded reads what the recorders were told of revisions above base up to a
// compaction, which the stores do not tell any more.
func recorded(path string, run *history.Run, keys *keyTable, upTo int64) (*tapes, error) {
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
	byWatch := make(map[uint64][]datadir.Revision)
	var rec history.WatchRecord
	for {
		if err := r.Next(&rec); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if rec.Kind == history.WatchOpened && rec.Request != nil && rec.Request.Recorder {
			order = append(order, rec.Watch)
			byWatch[rec.Watch] = nil
		}
		tape, recorder := byWatch[rec.Watch]
		if !recorder {
			continue
		}
		for i := range rec.Events {
			if main := rec.Events[i].KV.ModRevision; main > run.Base.Revision && main <= upTo {
				tape = append(tape, told(&rec.Events[i], run, keys))
			}
		}
		byWatch[rec.Watch] = tape
	}
	all := make([][]datadir.Revision, 0, len(order))
	for _, watch := range order {
		if tape := inOrder(byWatch[watch]); len(tape) > 0 {
			all = append(all, tape)
		}
	}
	return join(all), nil
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

// join merges accounts, each in order of revision.
func join(accounts [][]datadir.Revision) *tapes {
	t := &tapes{others: make(map[int64][][]datadir.Revision)}
	for len(accounts) > 0 {
		rev := accounts[0][0].Main
		for _, a := range accounts[1:] {
			rev = min(rev, a[0].Main)
		}
		var versions [][]datadir.Revision
		var votes []int
		left := accounts[:0]
		for _, a := range accounts {
			if a[0].Main == rev {
				n := groupLen(a)
				versions, votes = vote(versions, votes, a[:n])
				a = a[n:]
			}
			if len(a) > 0 {
				left = append(left, a)
			}
		}
		accounts = left
		best := 0
		for i := range versions {
			if votes[i] > votes[best] || votes[i] == votes[best] && len(versions[i]) > len(versions[best]) {
				best = i
			}
		}
		t.recs = append(t.recs, versions[best]...)
		for i := range versions {
			if i != best {
				t.others[rev] = append(t.others[rev], versions[i])
			}
		}
	}
	return t
}

// vote counts an account of a revision.
func vote(versions [][]datadir.Revision, votes []int, group []datadir.Revision) ([][]datadir.Revision, []int) {
	for i := range group {
		group[i].Sub = uint32(i)
	}
	for i := range versions {
		if slices.Equal(versions[i], group) {
			votes[i]++
			return versions, votes
		}
	}
	return append(versions, group), append(votes, 1)
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

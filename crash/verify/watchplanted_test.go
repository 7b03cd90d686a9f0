package verify

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
)

// watchPlants change what one watch of a recorded run was told; recs are all
// records, i one with events of the watch, well within its life.
var watchPlants = map[string]struct {
	text  string // of the finding
	plant func(recs []history.WatchRecord, i int) []history.WatchRecord
}{
	"gap": {"able: ", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		return slices.Delete(recs, i, i+1)
	}},
	"twice": {"unique: ", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		return slices.Insert(recs, i, recs[i])
	}},
	"swapped": {"ordered: ", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		k := i + 1
		for recs[k].Watch != recs[i].Watch || recs[k].Kind != history.WatchEvents {
			k++
		}
		recs[i].Events, recs[k].Events = recs[k].Events, recs[i].Events
		return recs
	}},
	"early bookmark": {"bookmarkable: ", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		mark := recs[i]
		mark.Kind, mark.Events, mark.Revision = history.WatchProgress, nil, recs[i].Events[0].KV.ModRevision
		return slices.Insert(recs, i, mark)
	}},
	"value": {"with other bytes", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		recs[i].Events[0].KV.Value += "!"
		return recs
	}},
	"version": {"with version", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		recs[i].Events[0].KV.Version++
		return recs
	}},
	"kind": {"as a delete", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		recs[i].Events[0].Delete = true
		return recs
	}},
	"prev-kv": {"prev-kv: ", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		recs[i].Events[0].Prev.Version++
		return recs
	}},
	"no prev-kv": {"without what was there before", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		recs[i].Events[0].Prev = nil
		return recs
	}},
	"start": {"start: ", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		k := slices.IndexFunc(recs, func(r history.WatchRecord) bool { return r.Watch == recs[i].Watch && r.Kind == history.WatchOpened })
		recs[k].Request.Start = recs[i].Events[0].KV.ModRevision + 1
		return recs
	}},
	"filter": {"filters: ", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		k := slices.IndexFunc(recs, func(r history.WatchRecord) bool { return r.Watch == recs[i].Watch && r.Kind == history.WatchOpened })
		recs[k].Request.NoPut = true
		return recs
	}},
	"lost": {"told and then lost", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		last := i
		for k := range recs {
			if recs[k].Watch == recs[i].Watch && (recs[k].Kind == history.WatchEvents || recs[k].Kind == history.WatchProgress) {
				last = k
			}
		}
		r := recs[last]
		e := recs[i].Events[0]
		e.KV.ModRevision = 1 << 40
		r.Kind, r.Events = history.WatchEvents, []history.WatchEvent{e}
		return slices.Insert(recs, last+1, r)
	}},
	"canceled": {"though it needed nothing below", func(recs []history.WatchRecord, i int) []history.WatchRecord {
		r := recs[i]
		r.Kind, r.CompactRevision, r.Events = history.WatchCanceled, recs[i].Events[0].KV.ModRevision, nil
		return slices.Insert(recs, i+1, r)
	}},
}

// TestWatchPlanted plants each in what a real etcd told its watchers.
func TestWatchPlanted(t *testing.T) {
	dir := recordRun(t, everything(t), 4000)
	exe := child(t)
	if c := check(judge(t, dir, exe), checkWatch); c.Verdict != Pass {
		t.Fatalf("as it was recorded: %+v", c)
	}
	for name, p := range watchPlants {
		t.Run(name, func(t *testing.T) {
			x := commit(t, dir, nil)
			x.watches(func(recs []history.WatchRecord) []history.WatchRecord { return p.plant(recs, victim(t, recs)) })
			c := check(judge(t, x.dir, exe), checkWatch)
			if c.Verdict != Fail || !slices.ContainsFunc(c.Evidence, func(e Evidence) bool { return strings.Contains(e.Message, p.text) }) {
				t.Errorf("%+v", c)
			}
		})
	}
}

// victim is a list that begins with an update of the run's own, told to a
// recorder late in the run, above what was compacted.
func victim(t *testing.T, recs []history.WatchRecord) int {
	recorder := make(map[uint64]bool)
	lists := make(map[uint64][]int)
	for i := range recs {
		if q := recs[i].Request; q != nil {
			recorder[recs[i].Watch] = q.Recorder
		}
		if e := recs[i].Events; len(e) == 1 && recorder[recs[i].Watch] && !e[0].Delete && e[0].Prev != nil && len(e[0].KV.Value) > 60 {
			lists[recs[i].Watch] = append(lists[recs[i].Watch], i)
		}
	}
	best := slices.MaxFunc(slices.Collect(maps.Values(lists)), func(a, b []int) int { return cmp.Compare(len(a), len(b)) })
	return best[len(best)-20]
}

package transcript

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
)

const (
	runID  = "0123456789abcdef"
	prefix = "/etcdlab/" + runID + "/"
	start  = int64(1_000_000_000)
)

func value(client int32, op uint64, n int) string { return history.Value(runID, client, op, n, 48) }

func key(k string) string { return prefix + k }

// ms is an instant of the sample, in milliseconds since its begin.
func ms(n int64) int64 { return start + n*1e6 }

// sample is a short history with something of each kind in it, in the order
// that clients appended it.
func sample() ([]history.Op, []history.WatchRecord, []history.Event) {
	put := func(k, v string) history.Request { return history.Request{Verb: history.Put, Key: key(k), Value: v} }
	ops := []history.Op{
		{
			ID: 1, Client: 1, Member: "m1", Invoke: ms(1), Return: ms(3), Outcome: history.OK, Revision: 2, RaftTerm: 2, MemberID: 11,
			Then: []history.Request{put("a", value(1, 1, 0))}, Results: []history.Result{{}},
		},
		{ // appended late
			ID: 3, Client: 2, Member: "m2", Kind: history.KindTxn, Invoke: ms(2), Return: ms(6), Outcome: history.OK, Revision: 3, Succeeded: true, MemberID: 12,
			Compares: []history.Compare{{Key: key("a"), Target: history.CompareMod, Number: 2}},
			Then: []history.Request{put("a", value(2, 3, 0)), {Verb: history.Range, Key: key("a")}, {
				Verb: history.Txn, Txn: &history.Branches{Then: []history.Request{put("b", value(2, 3, 1))}, Else: []history.Request{{Verb: history.Delete, Key: key("c")}}},
			}},
			Else: []history.Request{{Verb: history.Range, Key: key("a")}},
			Results: []history.Result{
				{}, {Count: 1, KVs: []history.KV{{Key: key("a"), Value: value(2, 3, 0), CreateRevision: 2, ModRevision: 3, Version: 2}}},
				{Succeeded: true, Results: []history.Result{{}}},
			},
		},
		{
			ID: 2, Client: 1, Member: "m1", Invoke: ms(4), Return: ms(5), Outcome: history.OK, Revision: 2, MemberID: 11,
			Then:    []history.Request{{Verb: history.Range, Key: key("a"), End: key("d"), Limit: 1, Serializable: true}},
			Results: []history.Result{{Count: 2, More: true, KVs: []history.KV{{Key: key("a"), Value: value(1, 1, 0), CreateRevision: 2, ModRevision: 2, Version: 1}}}},
		},
		{
			ID: 4, Client: 3, Member: "m2", Kind: history.KindLeaseGrant, Invoke: ms(7), Return: ms(8), Outcome: history.OK, Revision: 3, MemberID: 12,
			Call: &history.Call{Lease: 0xabc, TTL: 5},
		},
		{
			ID: 5, Client: 1, Member: "m1", User: "carol", Invoke: ms(8), Return: ms(9), Outcome: history.Failed, Denied: true, Error: "etcdserver: permission denied",
			Then: []history.Request{put("secret", value(1, 5, 0))},
		},
		{
			ID: 6, Client: 1, Member: "m1", Invoke: ms(10), Return: ms(20), Outcome: history.Unknown, Error: "context deadline exceeded",
			Then: []history.Request{put("a", value(1, 6, 0))},
		},
		{
			ID: 7, Client: 2, Member: "m2", Invoke: ms(21), Return: ms(22), Outcome: history.OK, Revision: 5, MemberID: 12,
			Then:    []history.Request{{Verb: history.Delete, Key: key("b"), Prev: true}},
			Results: []history.Result{{Deleted: 1, KVs: []history.KV{{Key: key("b"), Value: value(2, 3, 1), CreateRevision: 3, ModRevision: 3, Version: 1}}}},
		},
		{
			ID: 8, Client: 1, Member: "m1", Invoke: ms(23), Return: ms(24), Outcome: history.OK, Revision: 5, MemberID: 11,
			Then:    []history.Request{{Verb: history.Range, Key: key("a")}},
			Results: []history.Result{{Count: 1, KVs: []history.KV{{Key: key("a"), Value: value(1, 6, 0), CreateRevision: 2, ModRevision: 4, Version: 3}}}},
		},
		{
			ID: 9, Client: 2, Member: "m2", Kind: history.KindTxn, Invoke: ms(25), Return: ms(26), Outcome: history.OK, Revision: 5, MemberID: 12,
			Compares: []history.Compare{{Key: key("a"), Target: history.CompareValue, Result: history.NotEqual, Value: value(1, 6, 0)}},
			Then:     []history.Request{{Verb: history.Delete, Key: key("a"), End: key("b")}},
			Else:     []history.Request{{Verb: history.Range, Key: key("b")}}, Results: []history.Result{{}},
		},
		{
			ID: 10, Client: 3, Kind: history.KindStatus, Member: "m1", Invoke: ms(26), Return: ms(27), Outcome: history.OK, Revision: 5, MemberID: 11,
			Call: &history.Call{Size: 20480, Leader: 12, Index: 14},
		},
	}
	watches := []history.WatchRecord{
		{Watch: 1, Client: 9, Member: "m1", Kind: history.WatchOpened, Time: ms(1), Request: &history.WatchRequest{Key: prefix, End: after(prefix), Start: 2, Prev: true, Recorder: true}},
		{Watch: 1, Client: 9, Member: "m1", Kind: history.WatchCreated, Time: ms(2), Revision: 1, MemberID: 11},
		{Watch: 1, Client: 9, Member: "m1", Kind: history.WatchEvents, Time: ms(4), Revision: 3, MemberID: 11, Events: []history.WatchEvent{
			{KV: history.KV{Key: key("a"), Value: value(1, 1, 0), CreateRevision: 2, ModRevision: 2, Version: 1}},
		}},
		{Watch: 1, Client: 9, Member: "m1", Kind: history.WatchEvents, Time: ms(23), Revision: 5, MemberID: 11, Events: []history.WatchEvent{
			{Delete: true, KV: history.KV{Key: key("b"), ModRevision: 5}, Prev: &history.KV{Key: key("b"), Value: value(2, 3, 1), CreateRevision: 3, ModRevision: 3, Version: 1}},
		}},
		{Watch: 1, Client: 9, Member: "m1", Kind: history.WatchCanceled, Time: ms(28), CompactRevision: 4, Error: "etcdserver: mvcc: required revision has been compacted"},
	}
	events := []history.Event{
		{Time: ms(0), Kind: history.EventRunStart},
		{Time: ms(11), Kind: history.EventCut, Round: 1, Member: "m1", Duration: 1e6, Cut: &history.Cut{Policy: "torn", Uncovered: 5, Dropped: 3, Torn: 1, Kept: 1}},
		{Time: ms(19), Kind: history.EventServing, Round: 1, Member: "m1"},
		{Time: ms(30), Kind: history.EventRunEnd},
	}
	return ops, watches, events
}

// write makes a run directory of the sample.
func write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	ops, watches, events := sample()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(history.WriteRun(dir, &history.Run{
		ID: runID, Prefix: prefix, Start: start, Members: []history.Member{{Name: "m1", ID: 11}, {Name: "m2", ID: 12}},
	}))
	var opsFile, watchFile, eventsFile bytes.Buffer
	w, err := history.NewWriter(&opsFile)
	must(err)
	for i := range ops {
		must(w.Append(&ops[i]))
	}
	must(w.Close())
	ww, err := history.NewWatchWriter(&watchFile)
	must(err)
	for i := range watches {
		must(ww.Append(&watches[i]))
	}
	must(ww.Close())
	for i := range events {
		must(history.AppendEvent(&eventsFile, &events[i]))
	}
	for name, b := range map[string]*bytes.Buffer{history.FileOps: &opsFile, history.FileWatches: &watchFile, history.FileEvents: &eventsFile} {
		must(os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644))
	}
	return dir
}

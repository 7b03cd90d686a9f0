package traffic

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

// TestEveryOperationAgainstRealEtcd runs every operation and every housekeeper
// until each kind has been acknowledged, and looks at what was recorded.
func TestEveryOperationAgainstRealEtcd(t *testing.T) {
	eps, _ := startCluster(t, "", 1)
	ops, watches := &memory{}, &watchMemory{}
	o := clusterOptions(eps, "everything", ops, watches)
	o.Profile.Keys, o.Profile.Clients, o.Profile.PerMember = 40, 2, 8
	for _, op := range Operations() {
		o.Profile.Mix[op.Name] = max(5, o.Profile.Mix[op.Name])
	}
	o.Profile.CompactEvery, o.Profile.HashEvery = 50*time.Millisecond, 200*time.Millisecond
	o.Profile.DefragEvery, o.Profile.SnapshotEvery = 300*time.Millisecond, 400*time.Millisecond
	l, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	kinds := []history.Kind{
		history.KindKV, history.KindTxn, history.KindCompact, history.KindLeaseGrant, history.KindLeaseKeepAlive, history.KindLeaseRevoke,
		history.KindLeaseTTL, history.KindLeases, history.KindLock, history.KindUnlock, history.KindCampaign, history.KindProclaim,
		history.KindResign, history.KindLeader, history.KindDefrag, history.KindSnapshot, history.KindStatus, history.KindHash,
		history.KindMembers, history.KindAlarms,
	}
	waitFor(t, "every kind of operation", func() bool { return ops.acked(kinds) && l.Acked() > 4000 })
	begin := time.Now()
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("the load took %v to stop", took)
	}
	checkOps(t, ops.ops)
	checkWatches(t, watches.records, ops.ops)
	noLeases(t, eps[0])
}

// acked says whether an operation of each kind was.
func (m *memory) acked(kinds []history.Kind) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !slices.ContainsFunc(kinds, func(k history.Kind) bool {
		return !slices.ContainsFunc(m.ops, func(op history.Op) bool { return op.Kind == k && op.Outcome == history.OK })
	})
}

func checkOps(t *testing.T, ops []history.Op) {
	ids, values, errors, shapes := map[uint64]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range ops {
		op := &ops[i]
		if ids[op.ID] || op.Invoke == 0 || op.Return < op.Invoke {
			t.Errorf("operation %d is recorded twice, or returned before it began", op.ID)
		}
		ids[op.ID] = true
		if (op.Kind <= history.KindTxn) != (op.Call == nil) {
			t.Errorf("operation %d of kind %d has call %+v", op.ID, op.Kind, op.Call)
		}
		each(op.Then, func(r history.Request) { named(t, op, r, values) })
		each(op.Else, func(r history.Request) { named(t, op, r, values) })
		if op.Outcome != history.OK {
			if op.Error == "" {
				t.Errorf("operation %d was not acknowledged without a reason", op.ID)
			}
			errors[op.Error] = true
			continue
		}
		if op.Revision < 1 && op.Kind != history.KindSnapshot && op.Kind != history.KindMembers && op.Kind != history.KindDefrag {
			t.Errorf("operation %d of kind %d was acknowledged without a revision", op.ID, op.Kind)
		}
		if op.Kind <= history.KindTxn {
			shape(t, op.ID, ran(op.Then, op.Else, op.Kind == history.KindKV || op.Succeeded), op.Results, shapes)
			continue
		}
		checkCall(t, op)
	}
	for _, want := range []string{
		"etcdserver: mvcc: required revision has been compacted", "etcdserver: mvcc: required revision is a future revision",
		"etcdserver: requested lease not found",
	} {
		if !errors[want] {
			t.Errorf("no operation met %q; they met %v", want, errors)
		}
	}
	for _, want := range []string{"put prev", "delete prev", "nested held", "nested not", "limited", "counted", "keys", "sorted", "leased"} {
		if !shapes[want] {
			t.Errorf("no answer was %q; they were %v", want, shapes)
		}
	}
}

func checkCall(t *testing.T, op *history.Op) {
	c := op.Call
	ok := true
	switch op.Kind {
	case history.KindLeaseGrant:
		ok = c.Lease > 0 && c.TTL > 0
	case history.KindLock, history.KindCampaign:
		ok = c.Key != "" && c.Lease > 0 && c.Revision > 0 && c.Revision <= op.Revision
	case history.KindUnlock, history.KindProclaim, history.KindResign:
		ok = c.Name != "" && c.Key != "" && c.Lease > 0 && c.Revision > 0
	case history.KindSnapshot:
		ok = c.Size > 0
	case history.KindHash:
		ok = c.Revision > 0 && c.Hash != 0
	case history.KindStatus:
		ok = c.Size > 0 && c.Leader != 0 && c.Index > 0
	case history.KindMembers:
		ok = len(c.List) == 1
	case history.KindCompact:
		ok = c.Revision > 0 && c.Revision <= op.Revision
	}
	if !ok {
		t.Errorf("operation %d of kind %d at revision %d was answered %+v", op.ID, op.Kind, op.Revision, *c)
	}
}

func each(rs []history.Request, f func(history.Request)) {
	for _, r := range rs {
		if r.Verb == history.Txn {
			each(r.Txn.Then, f)
			each(r.Txn.Else, f)
		}
		f(r)
	}
}

func named(t *testing.T, op *history.Op, r history.Request, values map[string]bool) {
	if r.Verb != history.Put {
		return
	}
	n, ok := history.ParseValue(r.Value)
	if !ok || n.Op != op.ID || n.Client != op.Client {
		t.Errorf("operation %d of client %d writes %.60q", op.ID, op.Client, r.Value)
	}
	name := fmt.Sprint(n)
	if values[name] {
		t.Errorf("%s is written twice", name)
	}
	values[name] = true
}

func ran(then, els []history.Request, held bool) []history.Request {
	if held {
		return then
	}
	return els
}

// shape checks that answers have the form of their requests.
func shape(t *testing.T, id uint64, rs []history.Request, results []history.Result, seen map[string]bool) {
	if len(rs) != len(results) {
		t.Errorf("operation %d has %d answers to %d requests", id, len(results), len(rs))
		return
	}
	for i, r := range rs {
		a := results[i]
		switch {
		case r.Verb == history.Txn:
			seen[map[bool]string{true: "nested held", false: "nested not"}[a.Succeeded]] = true
			shape(t, id, ran(r.Txn.Then, r.Txn.Else, a.Succeeded), a.Results, seen)
		case r.Verb == history.Put && len(a.KVs) > 0:
			seen["put prev"] = true
		case r.Verb == history.Delete && len(a.KVs) > 0:
			seen["delete prev"] = true
			if int64(len(a.KVs)) != a.Deleted {
				t.Errorf("operation %d deleted %d keys and says what was in %d", id, a.Deleted, len(a.KVs))
			}
		case r.Verb == history.Range:
			if r.Limit > 0 && int64(len(a.KVs)) > r.Limit || !r.CountOnly && !a.More && r.Limit == 0 && a.Count != int64(len(a.KVs)) {
				t.Errorf("operation %d: %d keys of %d with limit %d", id, len(a.KVs), a.Count, r.Limit)
			}
			seen["limited"] = seen["limited"] || a.More
			seen["counted"] = seen["counted"] || r.CountOnly && a.Count > 0
			seen["keys"] = seen["keys"] || r.KeysOnly && len(a.KVs) > 0 && a.KVs[0].Value == ""
			seen["sorted"] = seen["sorted"] || r.Order == history.Descend && len(a.KVs) > 1
			for _, kv := range a.KVs {
				seen["leased"] = seen["leased"] || kv.Lease != 0
			}
		}
		if r.Prev != (len(a.KVs) > 0) && !r.Prev && r.Verb != history.Range {
			t.Errorf("operation %d says what was there without being asked", id)
		}
	}
}

// noLeases looks that the load left none behind.
func noLeases(t *testing.T, ep Endpoint) {
	c, err := Dial(ep.URL, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := c.Leases(ctx)
	if err != nil || len(r.Leases) > 0 {
		t.Errorf("leases are left: %v, %v", r, err)
	}
}

package traffic

import (
	"context"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

func TestAuthIsOnForTheRunAndOffAfterIt(t *testing.T) {
	eps, _ := startCluster(t, "", 1, "--bcrypt-cost=4")
	ops, watches := &memory{}, &watchMemory{}
	o := clusterOptions(eps, "auth", ops, watches)
	o.Profile.AuthEvery = 50 * time.Millisecond
	l, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := Dial(eps[0].URL, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	read := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := stranger.Get(ctx, "x")
		return err
	}
	if err := read(); err == nil {
		t.Error("a client without a user may read while authentication is on")
	}
	waitFor(t, "operations of every user and changes", func() bool { return l.Acked() > 500 && ops.count(history.KindAuth) > 30 })
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil {
		t.Error("authentication is still on:", err)
	}
	checkWatches(t, watches.records, ops.ops)

	denied, allowed := map[string]int{}, map[string]int{}
	var last string
	for _, op := range ops.ops {
		switch {
		case op.Kind == history.KindAuth:
			last = op.Call.Method
		case op.Denied:
			denied[op.User]++
			if op.Outcome != history.Failed {
				t.Errorf("operation %d was denied and is not failed", op.ID)
			}
		case op.Outcome == history.OK:
			allowed[op.User]++
		}
	}
	if last != "AuthDisable" {
		t.Errorf("the last operation on users is %s", last)
	}
	if allowed[l.user(userAll).Name] == 0 || denied[l.user(userAll).Name] > 0 {
		t.Errorf("the user of all keys: %d allowed, %d denied", allowed[l.user(userAll).Name], denied[l.user(userAll).Name])
	}
	for _, n := range []int{userHalf, userReader} {
		if name := l.user(n).Name; allowed[name] == 0 || denied[name] == 0 {
			t.Errorf("%s: %d allowed, %d denied", name, allowed[name], denied[name])
		}
	}
	// Again, on a lab that has the users.
	second := &memory{}
	o.Sink, o.Base = second, l.newest.revision.Load()
	if l, err = Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "operations of a second run", func() bool { return l.Acked() > 100 })
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
}

func (m *memory) count(k history.Kind) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.ops {
		if m.ops[i].Kind == k {
			n++
		}
	}
	return n
}

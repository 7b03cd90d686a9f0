package traffic

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

// memory is a sink that keeps everything.
type memory struct {
	mu   sync.Mutex
	ops  []history.Op
	full int // refuses after so many; 0 never
}

func (m *memory) Append(op *history.Op) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full > 0 && len(m.ops) >= m.full {
		return errors.New("no space left on device")
	}
	m.ops = append(m.ops, *op)
	return nil
}

// startEtcd runs a real etcd on loopback and gives its client URL.
func startEtcd(t *testing.T) (url string, process *os.Process) {
	t.Helper()
	eps, commands := startCluster(t, "", 1)
	return eps[0].URL, commands[0].Process
}

func options(url string, sink Sink) Options {
	return Options{
		RunID: "0123456789abcdef", Prefix: "/etcdlab/0123456789abcdef/", Endpoints: []Endpoint{{"t", url}},
		Clients: 8, Profile: Profile{Keys: 10}, Seed: 1, Sink: sink, Timeout: 500 * time.Millisecond,
	}
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	// Long enough for a disk that is busy with everybody's flushes.
	for deadline := time.Now().Add(2 * time.Minute); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 2 min:", what)
		}
	}
}

func TestLoadAgainstRealEtcd(t *testing.T) {
	url, process := startEtcd(t)
	sink := &memory{}
	l, err := Start(t.Context(), options(url, sink))
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "2,000 operations", func() bool { return l.Acked() >= 2000 })
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := l.Returned() - l.Acked()
	waitFor(t, "a time-out of every client", func() bool { return l.Returned()-l.Acked() >= stopped+8 })
	if err := process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	at := l.Acked()
	waitFor(t, "operations after the pause", func() bool { return l.Acked() >= at+100 })
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}

	if int64(len(sink.ops)) != l.Returned() {
		t.Errorf("%d operations recorded, %d returned", len(sink.ops), l.Returned())
	}
	ids, revisions, values := map[uint64]bool{}, map[int64]uint64{}, map[string]bool{}
	kinds := map[string]int{}
	unknown := 0
	for _, op := range sink.ops {
		if ids[op.ID] {
			t.Errorf("operation %d is recorded twice", op.ID)
		}
		ids[op.ID] = true
		if op.Return < op.Invoke || op.Invoke == 0 {
			t.Errorf("operation %d: invoked %d, returned %d", op.ID, op.Invoke, op.Return)
		}
		branch := op.Then
		if op.Kind == history.KindTxn && !op.Succeeded {
			branch = op.Else
		}
		if op.Outcome != history.OK {
			unknown++
			continue
		}
		if op.Revision < 1 || op.MemberID == 0 || len(op.Results) != len(branch) {
			t.Errorf("operation %d was acknowledged without its answer: %+v", op.ID, op)
		}
		for _, r := range branch {
			kinds[fmt.Sprint(op.Kind, r.Verb, op.Succeeded)]++
			if r.Verb == history.Put {
				if values[r.Value] {
					t.Errorf("value %q is written twice", r.Value)
				}
				values[r.Value] = true
				if other, dup := revisions[op.Revision]; dup && other != op.ID {
					t.Errorf("operations %d and %d share revision %d", other, op.ID, op.Revision)
				}
				revisions[op.Revision] = op.ID
			}
		}
	}
	if unknown < 8 {
		t.Errorf("%d operations without an answer, want at least one of each client", unknown)
	}
	if len(kinds) < 6 {
		t.Errorf("the mix reached only %v", kinds)
	}
}

func TestASinkThatFailsEndsTheLoadWithItsError(t *testing.T) {
	url, _ := startEtcd(t)
	sink := &memory{full: 50}
	l, err := Start(t.Context(), options(url, sink))
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the sink's error", func() bool { return l.Err() != nil })
	if err := l.Stop(); err == nil {
		t.Fatal("a history with a hole was taken for whole")
	}
}

func TestRateIsALimit(t *testing.T) {
	url, _ := startEtcd(t)
	o := options(url, &memory{})
	o.Rate, o.MaxOps = 200, 100
	start := time.Now()
	l, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "100 operations", func() bool { return l.Returned() >= 100 })
	took := time.Since(start)
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	if took < 400*time.Millisecond {
		t.Errorf("100 operations at 200 a second took %v", took)
	}
	if l.Returned() != 100 {
		t.Errorf("%d operations, want the bound of 100", l.Returned())
	}
}

func TestBadOptions(t *testing.T) {
	if _, err := Start(t.Context(), Options{Clients: 1}); err == nil {
		t.Error("no endpoints were accepted")
	}
	if _, err := Start(t.Context(), Options{Endpoints: []Endpoint{{"a", "http://127.0.0.1:1"}}}); err == nil {
		t.Error("no clients were accepted")
	}
}

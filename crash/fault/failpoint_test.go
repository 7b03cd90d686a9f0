package fault

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

// A follower that reaches the point just as it is disarmed has to be seen to
// end: Heal starts only what does not run, and nobody would start it later.
func TestFailpointSeesWhoPanicsWhileDisarmed(t *testing.T) {
	for name, answers := range map[string]bool{"and answered": true, "before it answered": false} {
		t.Run(name, func(t *testing.T) {
			first, late, calm := newMember("m1"), newMember("m2"), newMember("m3")
			first.fail = gofail(t, func(method string) bool {
				if method == http.MethodPut {
					first.set(lab.StateStopped)
				}
				return true
			})
			late.fail = gofail(t, func(method string) bool {
				if method == http.MethodDelete {
					time.AfterFunc(10*time.Millisecond, func() { late.set(lab.StateStopped) })
					return answers
				}
				return method == http.MethodPut
			})
			calm.fail = gofail(t, func(string) bool { return true })
			var r recorder
			// Slow gives a busy machine time to run what ends m2.
			s, f := &Scene{Round: 1, Record: r.record, Slow: 20}, &Failpoint{Point: "raftBeforeSave"}
			all := []lab.Member{first, late, calm}
			effect, err := f.Apply(t.Context(), s, all)
			if err != nil || !effect.Observed {
				t.Fatalf("%+v, %v", effect, err)
			}
			for m, want := range map[string]bool{"m1": true, "m2": true, "m3": false} {
				if got := r.has(history.EventExited, m); got != want {
					t.Errorf("the end of %s is in the record: %v, want %v", m, got, want)
				}
			}
			if err := f.Heal(t.Context(), s, all); err != nil {
				t.Fatal(err)
			}
			if i, _ := late.Info(t.Context()); i.State != lab.StateRunning {
				t.Errorf("m2 is %s after healing", i.State)
			}
		})
	}
}

func TestFailpointReachedWhileItIsDisarmed(t *testing.T) {
	m := newMember("m1")
	m.fail = gofail(t, func(method string) bool {
		if method == http.MethodDelete {
			m.set(lab.StateStopped)
		}
		return true
	})
	var r recorder
	s, f := &Scene{Round: 1, Record: r.record}, &Failpoint{Point: "raftBeforeSave", Within: 20 * time.Millisecond}
	effect, err := f.Apply(t.Context(), s, []lab.Member{m})
	if err != nil || !effect.Observed || !r.has(history.EventExited, "m1") {
		t.Errorf("%+v, %v", effect, err)
	}
}

func TestFailpointThatNobodyReaches(t *testing.T) {
	m := newMember("m1")
	m.fail = gofail(t, func(string) bool { return true })
	var r recorder
	s, f := &Scene{Round: 1, Record: r.record}, &Failpoint{Point: "defragBeforeCopy", Within: 20 * time.Millisecond}
	effect, err := f.Apply(t.Context(), s, []lab.Member{m})
	if err != nil || effect.Observed || !strings.Contains(effect.Message, "not reached") || r.has(history.EventExited, "m1") {
		t.Errorf("%+v, %v", effect, err)
	}
}

// A member that somebody killed has not reached the point.
func TestFailpointOfAMemberThatWasKilled(t *testing.T) {
	m := newMember("m1")
	m.exit = "signal: killed"
	m.set(lab.StateStopped)
	s := &Scene{Round: 1}
	gone, err := s.ended(t.Context(), []lab.Member{m}, 20*time.Millisecond, nil)
	if err != nil || len(gone) != 0 {
		t.Errorf("%v, %v", gone, err)
	}
}

// On a busy machine a process may end of the point's panic long after it was
// disarmed; one that ended otherwise is not the fault's to start again.
func TestFailpointLate(t *testing.T) {
	panicked, killed, runs := newMember("m1"), newMember("m2"), newMember("m3")
	panicked.exit, killed.exit = "exit status 2: panic: failpoint panic: etcdlab", "exit status 1: no space left on device"
	panicked.set(lab.StateStopped)
	killed.set(lab.StateStopped)
	var r recorder
	s, f := &Scene{Round: 1, Record: r.record}, &Failpoint{Point: "raftBeforeSave"}
	late, err := f.Late(t.Context(), s, []lab.Member{panicked, killed, runs})
	if err != nil || !late || !r.has(history.EventExited, "m1") || r.has(history.EventExited, "m2") {
		t.Errorf("%v, %v", late, err)
	}
	panicked.wants(t, "start")
	killed.wants(t)
	runs.wants(t)
	if late, err := f.Late(t.Context(), s, []lab.Member{killed, runs}); late || err != nil {
		t.Errorf("%v, %v", late, err)
	}
}

// gofail answers like a binary's failpoint server, unless ok says that it died.
func gofail(t *testing.T, ok func(method string) bool) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ok(r.Method) {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// One whose panic waits for a deferred call has reached the point: it is ended.
func TestFailpointWhosePanicIsStuck(t *testing.T) {
	stuck, never := newMember("m1"), newMember("m2")
	count := func(n string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/count") {
				io.WriteString(w, n)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		}))
		t.Cleanup(s.Close)
		return s
	}
	stuck.fail, never.fail = count("1").URL, count("0").URL
	var r recorder
	s, f := &Scene{Round: 1, Record: r.record}, &Failpoint{Point: "beforeSendWatchResponse", Within: 20 * time.Millisecond}
	effect, err := f.Apply(t.Context(), s, []lab.Member{stuck, never})
	if err != nil || !effect.Observed || effect.Message != "panic at beforeSendWatchResponse on m1" || !r.has(history.EventExited, "m1") || r.has(history.EventExited, "m2") {
		t.Errorf("%+v, %v", effect, err)
	}
	stuck.wants(t, "kill")
	never.wants(t)
}

// Where the panic was recovered, as in a handler of net/http, nobody waits for an
// end that does not come.
func TestFailpointWhosePanicIsRecovered(t *testing.T) {
	m := newMember("m1")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/count") {
			io.WriteString(w, "1")
		}
	}))
	t.Cleanup(s.Close)
	m.fail = s.URL
	var r recorder
	f := &Failpoint{Point: "snapDBDirSyncError", Within: time.Hour}
	effect, err := f.Apply(t.Context(), &Scene{Round: 1, Record: r.record}, []lab.Member{m})
	if err != nil || !effect.Observed {
		t.Errorf("%+v, %v", effect, err)
	}
	m.wants(t, "kill")
}

// A member that what leads to the point restarts is started, whenever that is over.
func TestRestartedOnceBegun(t *testing.T) {
	m := newMember("m1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var r recorder
	if err := (&Scene{Round: 1, Record: r.record, Members: []lab.Member{m}}).again(ctx, "m1"); err != nil {
		t.Error(err)
	}
	if i, _ := m.Info(t.Context()); i.State != lab.StateRunning {
		t.Errorf("m1 is %s", i.State)
	}
}

func TestLimitLate(t *testing.T) {
	ended, killed := newMember("m1"), newMember("m2")
	ended.exit, killed.exit = "exit status 2: execute job failed", "signal: killed"
	ended.set(lab.StateStopped)
	killed.set(lab.StateStopped)
	var r recorder
	s := &Scene{Round: 1, Record: r.record}
	f, err := Make("fd-limit", nil)
	if err != nil {
		t.Fatal(err)
	}
	late, err := f.(Latecomer).Late(t.Context(), s, []lab.Member{ended, killed})
	if err != nil || !late || !r.has(history.EventExited, "m1") {
		t.Errorf("%v, %v", late, err)
	}
	ended.wants(t, "start")
	killed.wants(t)
}

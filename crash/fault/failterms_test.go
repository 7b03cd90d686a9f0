package fault

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

func TestCheckAction(t *testing.T) {
	for _, good := range []string{"panic", `sleep("100ms")`, "sleep(10)", `50%return("no space")`, `1*off->sleep("1s")`, "return(true)", "print"} {
		if err := checkAction(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", `panic("x")`, "sleep", "sleep(soon)", "break", `1*off->panic("x")`, "sleep(1)\nsleep(1)", "return(f())"} {
		if checkAction(bad) == nil {
			t.Errorf("%q is an action", bad)
		}
	}
}

// sleeper answers as gofail does for one point that is reached n times.
func sleeper(t *testing.T, n int) (url string, terms func() string) {
	var mu sync.Mutex
	var armed string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.Method == http.MethodPut:
			b, _ := io.ReadAll(r.Body)
			armed = string(b)
			w.WriteHeader(http.StatusNoContent)
		case r.Method == http.MethodDelete:
			armed = ""
			w.WriteHeader(http.StatusNoContent)
		case strings.HasSuffix(r.URL.Path, "/count"):
			fmt.Fprint(w, n)
		default:
			fmt.Fprintf(w, "raftBeforeSave=%s\n", armed)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, func() string {
		mu.Lock()
		defer mu.Unlock()
		return armed
	}
}

func TestFailTerms(t *testing.T) {
	made, err := Make(NameFailpoint, map[string]string{"point": "raftBeforeSave", "action": `sleep("100ms")`, "within": "20ms"})
	if err != nil {
		t.Fatal(err)
	}
	reached, never, stopped := newMember("m1"), newMember("m2"), newMember("m3")
	var armed, idle func() string
	reached.fail, armed = sleeper(t, 2)
	never.fail, idle = sleeper(t, 0)
	stopped.fail, _ = sleeper(t, 0)
	var r recorder
	s := &Scene{Round: 1, Record: r.record}
	effect, err := made.Apply(t.Context(), s, []lab.Member{reached, never, stopped})
	if err != nil || !effect.Observed || effect.Message != `sleep("100ms") at raftBeforeSave on m1` || armed() != `sleep("100ms")` || idle() == "" {
		t.Errorf("%+v, %v, %q", effect, err, armed())
	}
	stopped.set(lab.StateStopped)
	if err := made.Heal(t.Context(), s, []lab.Member{reached, never, stopped}); err != nil || armed() != "" || idle() != "" || !r.has(history.EventHealed, "m1") {
		t.Errorf("%v, %q", err, armed())
	}
	reached.wants(t)
	stopped.wants(t, "start")
	made, _ = Make(NameFailpoint, map[string]string{"point": "raftBeforeSave", "action": "sleep(5)", "within": "20ms"})
	start := time.Now()
	if effect, err := made.Apply(t.Context(), s, []lab.Member{never}); err != nil || effect.Observed || time.Since(start) < 20*time.Millisecond {
		t.Errorf("%+v, %v", effect, err)
	}
}

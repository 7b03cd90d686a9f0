package failpoint

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// gofailLike answers as gofail v0.2.0 does; the real one is spoken to in the
// tests of lab/process.
func gofailLike(armed map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			fmt.Fprintf(w, "commitBefore=%s\nraftBeforeSave=%s\n", armed["commitBefore"], armed["raftBeforeSave"])
			return
		}
		if name != "commitBefore" && name != "raftBeforeSave" {
			http.Error(w, "failed to GET", http.StatusNotFound)
			return
		}
		body, _ := io.ReadAll(r.Body)
		switch r.Method {
		case http.MethodPut:
			if !strings.HasPrefix(string(body), "panic") {
				http.Error(w, "fail to set failpoint", http.StatusBadRequest)
				return
			}
			armed[name] = string(body)
		case http.MethodDelete:
			if armed[name] == "" {
				http.Error(w, "failed to delete failpoint failpoint: failpoint is disabled", http.StatusBadRequest)
				return
			}
			delete(armed, name)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func TestListSetClear(t *testing.T) {
	armed := map[string]string{}
	s := httptest.NewServer(gofailLike(armed))
	defer s.Close()
	c := New(s.URL + "/")
	if err := c.Set(t.Context(), "raftBeforeSave", `panic("x")`); err != nil {
		t.Fatal(err)
	}
	points, err := c.List(t.Context())
	if err != nil || len(points) != 2 || points[1] != (Point{"raftBeforeSave", `panic("x")`}) {
		t.Fatalf("%v, %v", points, err)
	}
	for range 2 { // clearing twice is fine
		if err := c.Clear(t.Context(), "raftBeforeSave"); err != nil {
			t.Fatal(err)
		}
	}
	if len(armed) != 0 {
		t.Fatal("still armed:", armed)
	}
}

func TestErrorsNameTheThing(t *testing.T) {
	s := httptest.NewServer(gofailLike(map[string]string{}))
	defer s.Close()
	c := New(s.URL)
	err := c.Set(t.Context(), "BeforeSave", "panic")
	if u, ok := errors.AsType[*UnknownError](err); !ok || !strings.Contains(u.Error(), "did you mean raftBeforeSave") {
		t.Errorf("an unknown point: %v", err)
	}
	if err := c.Clear(t.Context(), "nonsense"); !errors.As(err, new(*UnknownError)) {
		t.Errorf("clearing an unknown point: %v", err)
	}
	if err := c.Set(t.Context(), "raftBeforeSave", "gibberish"); err == nil || !strings.Contains(err.Error(), "gibberish") {
		t.Errorf("bad terms: %v", err)
	}
	s.Close()
	if _, err := c.List(t.Context()); err == nil {
		t.Error("a refused connection was not an error")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a=panic(\"x\")\nb=\n")
	f.Add("==\n\n=x")
	f.Fuzz(func(t *testing.T, body string) {
		for _, p := range parse(body) {
			if p.Name == "" || strings.ContainsAny(p.Name, "=\n") {
				t.Errorf("%q gave the name %q", body, p.Name)
			}
		}
	})
}

func TestCount(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/reached/count":
			fmt.Fprint(w, "3")
		case "/odd/count":
			fmt.Fprint(w, "many")
		default:
			http.Error(w, "failed to GET: failpoint does not exist", http.StatusNotFound)
		}
	}))
	defer s.Close()
	c := New(s.URL)
	if n, err := c.Count(t.Context(), "reached"); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, point := range []string{"odd", "none"} {
		if n, err := c.Count(t.Context(), point); n != 0 || err == nil || !strings.Contains(err.Error(), point) {
			t.Errorf("%s: %d, %v", point, n, err)
		}
	}
}

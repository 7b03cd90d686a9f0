package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSummary(t *testing.T) {
	const stream = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:9: chatter\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- PASS: TestA (0.00s)\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0}
{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: needs root: run with sudo\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}
{"Action":"output","Package":"p","Test":"TestC/x","Output":"    c_test.go:7: needs root: run with sudo\n"}
{"Action":"skip","Package":"p","Test":"TestC/x","Elapsed":0}
{"Action":"skip","Package":"p","Test":"TestD","Elapsed":0}
{"Action":"output","Package":"p","Test":"TestE","Output":"=== RUN   TestE\n"}
{"Action":"output","Package":"p","Test":"TestE","Output":"    e_test.go:3: wrong\n"}
{"Action":"output","Package":"p","Test":"TestE","Output":"--- FAIL: TestE (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestE","Elapsed":0}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.001s\n"}
{"Action":"fail","Package":"p","Elapsed":0.001}
{"Action":"output","Package":"q","Output":"PASS\n"}
{"Action":"output","Package":"q","Output":"ok  \tq\t0.002s\n"}
{"Action":"pass","Package":"q","Elapsed":0.002}
{"Action":"skip","Package":"r","Elapsed":0}
{"ImportPath":"s","Action":"build-output","Output":"s.go:1:1: nonsense\n"}
{"Action":"output","Package":"u","Test":"TestF","Output":"panic: oh\n"}
not json
`
	const want = `    e_test.go:3: wrong
--- FAIL: TestE (0.00s)
FAIL
FAIL	p	0.001s
ok  	q	0.002s
s.go:1:1: nonsense
not json
--- NEVER ENDED: TestF (u)
panic: oh
5 tests ended, 1 failed, 3 skipped: 2 needs root: run with sudo; 1 without a reason
`
	var out strings.Builder
	s := newSummary(&out)
	if err := s.read(strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	s.finish()
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

func TestNothingSkipped(t *testing.T) {
	var out strings.Builder
	s := newSummary(&out)
	s.add(event{Action: "pass", Package: "p", Test: "TestA"})
	s.finish()
	if want := "1 tests ended, 0 failed, 0 skipped\n"; out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

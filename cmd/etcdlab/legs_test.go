package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/etcdlab/etcdlab/crash/series"
)

// legs writes what a series has come to into the file legs, a line each: legs DIR.
func legs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: legs DIR")
	}
	t, err := series.Sum(ts.MkAbs(args[0]))
	ts.Check(err)
	var b strings.Builder
	fmt.Fprintf(&b, "%s, resumed %d, labs %d\n", t.Verdict, t.Resumed, t.Labs)
	for i, l := range t.Legs {
		if l.Leg != i+1 || l.Verdict == "pass" && (l.Operations == 0 || l.Verified == 0) {
			ts.Fatalf("leg %d: %+v", i+1, l)
		}
		kept := "reduced"
		if l.Kept {
			kept = "kept"
		}
		fmt.Fprintf(&b, "%d %d %s %s\n", l.Leg, l.Seed, l.Verdict, kept)
	}
	if t.Played < t.Planned {
		ts.Fatalf("%v s of %v s were played", t.Played, t.Planned)
	}
	ts.Check(os.WriteFile(ts.MkAbs("legs"), []byte(b.String()), 0o644))
	ts.Logf("%s", b.String())
}

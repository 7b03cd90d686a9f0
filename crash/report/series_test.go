package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/series"
	"github.com/etcdlab/etcdlab/crash/verify"
)

func TestSeries(t *testing.T) {
	total := &series.Total{
		Verdict: verify.Fail, Reason: "1 leg of 700; leg 2: order: <b>lost</b>", Scenario: "mixed", Etcd: "v3.7.3", Provider: "process", Seed: 7,
		Gap: &series.Spread{Median: 0.4, Most: 2}, Labs: 2, Resumed: 1, Played: 84000,
		Checks: []verify.Check{{Name: "order", Verdict: verify.Fail, Detail: "pass in 699 legs, fail in 1 leg, the first leg 2"}},
	}
	for n := 1; n <= 700; n++ {
		total.Legs = append(total.Legs, series.LegView{Leg: n, Verdict: verify.Pass, RunDir: filepath.Join("legs", "x y", "run"), Kept: n > 690, Lab: 1, Seconds: 120})
	}
	total.Legs[1].Verdict, total.Legs[1].Reason, total.Legs[1].Kept = verify.Fail, "order: <b>lost</b>", true
	total.Legs[3].Verdict = series.Unjudged
	dir := t.TempDir()
	if err := WriteSeries(dir, total); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, series.FileReport))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"FAIL: mixed, 700 legs, on etcd v3.7.3", "order: &lt;b&gt;lost&lt;/b&gt;", `href="./legs/x%20y/run/report.html">fail<`, `href="./legs/x%20y/run/verdict.json">pass<`,
		">unjudged<", "502 of the 700 legs", "resumed", "1 time", "400 ms",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if n := strings.Count(string(page), `<th scope="row" class="n">`); n != 502 {
		t.Errorf("%d legs are listed", n)
	}
	var text strings.Builder
	if err := SeriesText(&text, total, "runs/s", false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FAIL  mixed", "✗ order", "✗ leg 2, seed 0: fail", "! leg 4, seed 0: unjudged", "and 688 legs more", "report  runs/s/report.html"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %s:\n%s", want, &text)
		}
	}
}

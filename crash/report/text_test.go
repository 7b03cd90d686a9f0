package report

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

func TestText(t *testing.T) {
	for name, want := range map[string][]string{
		"pass":         {"PASS  power-loss  etcd v3.7.3", "✓ durability  pass", "    1  power-loss  m1 m2 m3  drop", "report  runs/7/report.html"},
		"fail":         {"FAIL  power-loss", "✗ durability  fail", "revision 4021", "      and 1 more\n", "never: m3"},
		"inconclusive": {"INCONCLUSIVE", "? durability  inconclusive"},
		"hundreds":     {"rounds  fault", "    80  power-loss  all members  random"},
		"no-rounds":    {"INCONCLUSIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			s := samples[name]
			dir := t.TempDir()
			s.build().write(t, dir)
			var plain, color strings.Builder
			if err := Text(&plain, dir, s.verdict(), "runs/7", false); err != nil {
				t.Fatal(err)
			}
			if err := Text(&color, dir, s.verdict(), "runs/7", true); err != nil {
				t.Fatal(err)
			}
			for _, w := range want {
				if !strings.Contains(plain.String(), w) {
					t.Errorf("lacks %q:\n%s", w, plain.String())
				}
			}
			if strings.Contains(plain.String(), "\x1b") || !strings.Contains(color.String(), "\x1b[0m") {
				t.Error("colour is not what was asked for")
			}
			if n := strings.Count(plain.String(), "\n"); n > 40 {
				t.Errorf("%d lines are no summary", n)
			}
		})
	}
}

func TestSentence(t *testing.T) {
	three := history.Run{Members: []history.Member{{Name: "m1"}, {Name: "m2"}, {Name: "m3"}}}
	ended := func(n int, f history.Figures, cuts int) []history.Event {
		f.Observed = true
		out := []history.Event{{Kind: history.EventRoundEnd, Round: n, Figures: &f}}
		for range cuts {
			out = append(out, history.Event{Kind: history.EventCut, Round: n, Member: "m1", Cut: &history.Cut{}})
		}
		return out
	}
	all := []string{"m1", "m2", "m3"}
	durable := []verify.Check{{Name: "durability", Verdict: verify.Pass}}
	for _, c := range []struct {
		name   string
		v      verify.Verdict
		target string
		writes int
		events []history.Event
		want   string
	}{
		{"one loss", verify.Verdict{Verdict: verify.Pass, Checks: durable}, "all", 12345, ended(1, history.Figures{Fault: "power-loss", Targets: all, Dropped: 1, Torn: 4}, 3),
			"No acknowledged write was lost: 12,345 acknowledged writes are all in the recovered store, after 1 power loss of all members, in which 1 un-flushed disk write was dropped and 4 torn."},
		{"two kinds", verify.Verdict{Verdict: verify.Pass, Checks: durable}, "leader", 1, append(ended(1, history.Figures{Fault: "kill", Targets: all}, 0), ended(2, history.Figures{Fault: "io-error", Targets: all[:1]}, 0)...),
			"No acknowledged write was lost: the one acknowledged write is in the recovered store, after 1 kill of all members and 1 I/O error on the leader."},
		{"pass without durability", verify.Verdict{Verdict: verify.Pass}, "", 9, nil, "Every check passed, after a run without any fault."},
		{"fail", verify.Verdict{Verdict: verify.Fail, Reason: "revision 7 is missing"}, "", 9, ended(1, history.Figures{Fault: "failpoint", Targets: all[:2]}, 0),
			"revision 7 is missing. The run had 1 failpoint panic of 2 members."},
		{"no reason", verify.Verdict{Verdict: verify.Fail, Checks: []verify.Check{{Name: "order", Verdict: verify.Fail, Detail: "7 before 6."}}}, "", 9, nil,
			"Whether acknowledged writes were lost is not known, but order failed. No fault was seen to take effect."},
		{"many findings", verify.Verdict{Verdict: verify.Fail, Reason: "durability: put k is missing", Checks: []verify.Check{{Name: "durability", Verdict: verify.Fail, Total: 37}, {Name: "hash", Verdict: verify.Fail}}}, "", 9, nil,
			"The recovered store is not what was acknowledged: durability (37 findings) and hash failed. No fault was seen to take effect."},
		{"another check", verify.Verdict{Verdict: verify.Fail, Reason: "hash: they differ", Checks: append(slices.Clone(durable), verify.Check{Name: "hash", Verdict: verify.Fail, Total: 1})}, "", 9, nil,
			"No acknowledged write was lost, but hash (1 finding) failed. No fault was seen to take effect."},
		{"inconclusive", verify.Verdict{Verdict: verify.Inconclusive, Reason: "nothing was lost"}, "", 9, nil,
			"Neither proven nor refuted: nothing was lost. No fault was seen to take effect."},
		{"error", verify.Verdict{Verdict: verify.Error, Reason: "no history"}, "", 0, nil, "The run could not be judged: no history."},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Data{Verdict: &c.v, Run: three, Events: c.events, Load: Load{Writes: c.writes}}
			d.Run.Target = c.target
			if got := Sentence(d); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	for ns, want := range map[int64]string{
		0: "0 µs", 12_345: "12 µs", 1_234_567: "1.2 ms", 865e6: "865 ms", 1_234e6: "1.23 s", 12_345e6: "12.3 s",
		61e9: "1 min 01 s", 3_720e9: "1 h 02 min",
	} {
		if got := duration(ns); got != want {
			t.Errorf("%d: got %q, want %q", ns, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add(hostile)
	f.Add(strings.Repeat("ä", longest))
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q is not valid UTF-8", got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && !strconv.IsPrint(r) }) {
			t.Fatalf("%q is not printable", got)
		}
		if len(got) > 8*longest {
			t.Fatalf("%d bytes became %d", len(s), len(got))
		}
	})
}

// What device mapper swallows is no write that a cache had and lost.
func TestSentenceOfDeviceMapper(t *testing.T) {
	of := func(profile string) string {
		return faults([]*round{{
			N: 1, Figures: history.Figures{Fault: "power-loss", Observed: true, Dropped: 7, Targets: []string{"m1"}},
			Cuts: []cut{{"m1", history.Cut{Profile: profile}}},
		}}, &history.Run{Members: []history.Member{{Name: "m1"}}})
	}
	if s := of("dm"); !strings.Contains(s, "in which 7 disk writes were swallowed after the cut") {
		t.Error(s)
	}
	if s := of("honest-512"); !strings.Contains(s, "in which 7 un-flushed disk writes were dropped and 0 torn") {
		t.Error(s)
	}
}

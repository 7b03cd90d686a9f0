package hunt

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/etcdlab/etcdlab/crash/verify"
)

func TestAbstract(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{
			"delete /etcdlab/../k000084, acknowledged by m1 at 0.359s (revision 369), is not in the store after recovery: revision 369 holds /etcdlab/../k000031 = c12/000575 on m1; the next fault was the exit of m1 in round 1 at 0.380s",
			"put /etcdlab/../k000058 = c6/000525, acknowledved by m2 at 10.359s (revision 3700), is not in the store after recovery: revision 370 holds a delete of /etcdlab/../k000063 on m1",
			"OP, acknowledged by M at N, is not in the store after recovery",
		},
		{
			"bookmarkable: watch 24 of client 100006 at m1 (on [/etcdlab/../k000016, /etcdlab/../k000036), from revision 2) was told at 5.666s that everything up to revision 79 had come, but never of 9 revisions from 2 to 77, the first of which has /etcdlab/../k000026 = c6/000034 (put /etcdlab/../k000026 = c6/000034, acknowledged by m1 at 0.109s (revision 2))",
			"bookmarkable: watch 3 of client 100001 at m3 (on all keys, from revision 12) was told at 15.666s that everything up to revision 7 had come, but never of 1 revisions from 5 to 7, the first of which has a delete of /etcdlab/../k000026",
			"bookmarkable: watch N of client N at M was told at N that everything up to revision N had come, but never of N revisions from N, the first of which has OP",
		},
		{
			`m1 panicked, line 12 of its log: {"level":"panic","msg":"tocommit(7) is out of range"}`, `m3 panicked, line 4 of its log: {"level":"fatal","msg":"tocommit(12) is out of range","x":1}`, "M panicked, line N of its log: tocommit is out of range",
		},
		{
			"m1 never served again after the kill of round 3 at 4.5s: etcd does not run: exit 2", "m2 never served again after the power loss of round 11 at 14.5s: etcd does not run", "M never served again after the fault of round N at N",
		},
		{
			"m1: the db has page 12 twice", "m2: the db has page 7 twice", "M: the db has page N twice",
		},
		{
			"at revision 1093 m1 answered the KV hash 8d3f0a11 and m2 00a1b2c3", "at revision 7 m2 answered the KV hash aaaaaaaa and m3 12345678", "at revision N M answered the KV hash N and M N",
		},
	} {
		a, b := abstract(c.a), abstract(strings.ReplaceAll(c.b, "acknowledved", "acknowledged"))
		if a != b || a != c.want {
			t.Errorf("\n got %q\n and %q\nwant %q", a, b, c.want)
		}
	}
	if a, b := abstract("m1 is at revision 7, though revision 9 was known"), abstract("m1 is at revision 7 after entry 9"); a == b {
		t.Errorf("different findings are both %q", a)
	}
}

func TestShapesOf(t *testing.T) {
	v := &verify.Verdict{Checks: []verify.Check{
		{Name: "durability", Verdict: verify.Fail, Evidence: []verify.Evidence{{Message: "revision 7 is lost"}, {Message: "revision 8 is lost"}, {Message: "k changed"}}},
		{Name: "order", Verdict: verify.Inconclusive, Evidence: []verify.Evidence{{Message: "revision 7 is lost"}}},
		{Name: "second-opinion", Verdict: verify.Fail, Detail: "they differ over 1 of 8"},
	}}
	got := ShapesOf(v)
	if len(got) != 3 || got[0].String() != "durability: revision N is lost" || got[1].Text != "k changed" || got[2].String() != "second-opinion: they differ over N of N" {
		t.Errorf("got %q", got)
	}
}

// FuzzAbstract: whatever the message, what comes out is short and text.
func FuzzAbstract(f *testing.F) {
	f.Add("put /etcdlab/../k000058 = c6/000525, acknowledged by m1 at 0.359s (revision 370), is not in the store")
	f.Add("((((")
	f.Add(strings.Repeat("é", 200))
	f.Add(": : : : :")
	f.Fuzz(func(t *testing.T, message string) {
		s := abstract(message)
		if len(s) > most || !utf8.ValidString(s) || strings.ContainsAny(s, "\n") {
			t.Errorf("%q becomes %q", message, s)
		}
		if strings.ContainsAny(s, "0123456789") && !strings.ContainsAny(strings.Map(func(r rune) rune {
			if r > 127 || r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				return 'x'
			}
			return r
		}, s), "x") {
			t.Errorf("%q keeps its numbers: %q", message, s)
		}
	})
}

package seed

import "testing"

func TestSubstreamsAreStableAndApart(t *testing.T) {
	if first, again := Of(1, "client/1"), Of(1, "client/1"); first != again {
		t.Fatal("the same substream of the same seed differs")
	}
	seen := map[uint64]string{}
	for _, s := range []uint64{0, 1, 1 << 63} {
		for _, n := range []string{"", "client/1", "client/11", "round/1"} {
			v := Of(s, n)
			if at, dup := seen[v]; dup {
				t.Errorf("seed %d %q equals %s", s, n, at)
			}
			seen[v] = n
		}
	}
	a, b := Rand(7, "x"), Rand(7, "x")
	for range 100 {
		if a.Uint64() != b.Uint64() {
			t.Fatal("two generators of one substream differ")
		}
	}
}

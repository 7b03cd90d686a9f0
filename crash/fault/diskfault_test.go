package fault

import (
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
)

func TestParseDiskFault(t *testing.T) {
	for in, want := range map[string]disk.Fault{
		"flush":                        {Op: disk.OpFlush},
		"write,nth=3,count=1":          {Op: disk.OpWrite, Nth: 3, Count: 1},
		"read,range=1MiB+64KiB,for=2s": {Op: disk.OpRead, Offset: 1 << 20, Length: 64 << 10, For: 2 * time.Second},
		"read,range=0+4096":            {Op: disk.OpRead, Length: 4096},
	} {
		if got, err := ParseDiskFault(in); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":                 "read, write or flush",
		"fsync":            "read, write or flush",
		"flush,nth=0":      "at least 1",
		"flush,count=-1":   "count=-1",
		"flush,for=2":      "for=2",
		"flush,for=-2s":    "more than 0",
		"flush,often":      "unknown condition",
		"flush,":           "unknown condition",
		"write,range=4096": "OFFSET+LENGTH",
		"write,range=x+1":  "range=x+1",
		"flush,range=0+1":  "a flush has no range",
	} {
		if got, err := ParseDiskFault(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want an error with %q", in, got, err, want)
		}
	}
}

func FuzzParseDiskFault(f *testing.F) {
	f.Add("write,nth=3,count=1")
	f.Add("read,range=1MiB+64KiB,for=2s")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ParseDiskFault(in)
		if err == nil && (got.Offset < 0 || got.Length < 0 || got.Offset+got.Length < 0 || got.For < 0) {
			t.Errorf("%q: %+v", in, got)
		}
	})
}

func TestPolicyIsAPureFunctionOfSeedAndMember(t *testing.T) {
	drawn := map[disk.Policy]int{}
	for seed := range uint64(200) {
		a, s := Mixed.of(seed, "m1")
		if b, s2 := Mixed.of(seed, "m1"); a != b || s != s2 {
			t.Fatal("the same seed and member drew", a, b)
		}
		drawn[a]++
	}
	if len(drawn) != 4 || drawn[disk.Keep] > 0 {
		t.Errorf("mixed drew %v, want each policy but keep", drawn)
	}
	if p, _ := Policy(disk.Keep).of(1, "m1"); p != disk.Keep {
		t.Errorf("keep drew %s", p)
	}
	if _, err := ParsePolicy("sideways"); err == nil {
		t.Error("an unknown policy was taken")
	}
}

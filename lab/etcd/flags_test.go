package etcd

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// pairs reads k=v;k=v.
func pairs(s string) map[string]string {
	m := map[string]string{}
	for p := range strings.SplitSeq(s, ";") {
		if k, v, ok := strings.Cut(p, "="); ok {
			m[k] = v
		}
	}
	return m
}

func TestFlags(t *testing.T) {
	for _, c := range []struct{ version, settings, want, lacking string }{
		{"v3.5.13", "snapshot-count=5;snapshot-catchup-entries=5", "snapshot-count=5", "snapshot-catchup-entries"},
		{"v3.5.14", "snapshot-catchup-entries=5", "experimental-snapshot-catchup-entries=5", ""},
		{"v3.6.0", "snapshot-catchup-entries=5", "snapshot-catchup-entries=5", ""},
		{"a local tree", "compaction-batch-limit=10", "compaction-batch-limit=10", ""},
		{"v3.5.0", "compaction-batch-limit=10;heartbeat-interval=29", "experimental-compaction-batch-limit=10;heartbeat-interval=29", ""},
		{"v3.5.4", "feature-gates=CompactHashCheck=true,LeaseCheckpoint=true", "experimental-enable-lease-checkpoint=true", "CompactHashCheck=true"},
		{"v3.7.3", "compact-hash-check-enabled=true;initial-corrupt-check=false", "feature-gates=CompactHashCheck=true,InitialCorruptCheck=false", ""},
		{"v3.5.2", "max-learners=2", "", "max-learners"},
	} {
		got, lacking := Flags(pairs(c.settings), c.version)
		if !maps.Equal(got, pairs(c.want)) || strings.Join(lacking, ";") != c.lacking {
			t.Errorf("%s of %s: %v, lacking %v", c.settings, c.version, got, lacking)
		}
	}
}

func TestAs(t *testing.T) {
	m := Member{Name: "m1", DataDir: "/d", Version: "v3.7.3", Args: map[string]string{"snapshot-count": "5", "snapshot-catchup-entries": "10"}}
	new := Args(&m)
	m.Version, m.Args = "v3.5.23", map[string]string{"snapshot-count": "5", "experimental-snapshot-catchup-entries": "10"}
	old := Args(&m)
	for _, c := range []struct {
		from, to []string
		version  string
	}{{new, old, "v3.5.23"}, {old, new, "v3.7.3"}, {new, new, "v3.6.14"}} {
		s, lacking := As(c.from, c.version)
		got := s.Line(c.from)
		slices.Sort(got)
		want := slices.Sorted(slices.Values(c.to))
		if !slices.Equal(got, want) || len(lacking) > 0 {
			t.Errorf("to %s:\n%q, want\n%q; lacking %v", c.version, got, want, lacking)
		}
	}
	if s, lacking := As(new, "v3.5.4"); len(lacking) != 2 || !slices.Contains(s.Without, "snapshot-catchup-entries") {
		t.Errorf("%+v, lacking %v", s, lacking)
	}
}

func FuzzFlags(f *testing.F) {
	f.Add("--snapshot-count=5", "feature-gates=CompactHashCheck=true", "v3.5.4")
	f.Fuzz(func(t *testing.T, a, b, version string) {
		line := []string{"--name=m1", "--" + a, "--" + b}
		s, _ := As(line, version)
		for name := range s.Args {
			if slices.Contains(s.Without, name) {
				t.Errorf("%s is set and left out", name)
			}
		}
		// A release's own line stays as it is.
		now := s.Line(line)
		again, _ := As(now, version)
		if got := again.Line(now); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(now))) && !strings.Contains(a+b, "feature-gates") {
			t.Errorf("%q became %q", now, got)
		}
	})
}

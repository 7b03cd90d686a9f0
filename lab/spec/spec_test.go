package spec

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// roundTrip checks that what Marshal writes decodes to the same lab.
func roundTrip(t *testing.T, lab *Lab) {
	t.Helper()
	data, err := lab.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode("again", data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	// A lab that says `args: {}` says nothing.
	if d := cmp.Diff(lab, again, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s\n%s", d, data)
	}
	twice, err := again.Marshal()
	if err != nil || string(twice) != string(data) {
		t.Errorf("not canonical (%v):\n%s\n%s", err, data, twice)
	}
}

func TestMarshal(t *testing.T) {
	no := false
	for name, lab := range map[string]*Lab{
		"empty": {Name: "x"},
		"text that looks like something else": {
			Name: "123", TLS: true, Provider: "vm",
			Etcd:    Etcd{Version: "v3.7.3", Args: map[string]string{"a": "100", "b": "true", "c": "", "d": "~", "e": "1e3", "f": "a: b # c", "g": " x ", "h": "0x10", "i": "- x", "j": "'", "k": "x\"", "l": "é", "m": "null", "n": "2024-01-01", "o": "*x", "p": "{", "q": "|"}},
			Members: Count(1),
			Network: Network{Subnet: "198.18.1.0/28"},
		},
		"everything": {
			APIVersion: APIVersion, Kind: Kind, Name: "all",
			Etcd: Etcd{Source: "/src/etcd", Failpoints: &no, Patches: []string{"/src/a.patch", "before-apply-request"}, Env: map[string]string{"GODEBUG": "x=1,y=2"}},
			Members: Members{{Name: "a", Etcd: Etcd{Version: "v3.5.4", Failpoints: &no}}, {Name: "b"},
				{Name: "c", Etcd: Etcd{Args: map[string]string{"heartbeat-interval": "5", "election-timeout": "50"}}}},
			Disk: Disk{Kind: "fault", FS: "xfs", Size: 300<<20 + 4096, Profile: "fua", KeepLog: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			roundTrip(t, lab)
			lab.Default()
			roundTrip(t, lab)
		})
	}
}

func TestMarshalDefault(t *testing.T) {
	lab := &Lab{}
	lab.Default()
	got, err := lab.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want := `apiVersion: etcdlab.dev/v1alpha1
kind: Lab
name: default
etcd:
  version: v3.7.3
  failpoints: true
  args:
    election-timeout: "300"
    heartbeat-interval: "30"
members: 3
disk:
  kind: fault
  fs: ext4
  size: 1GiB
  profile: honest-512
`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
	if err := lab.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := json.Marshal(lab); err != nil {
		t.Error(err)
	}
}

func TestDefaultKeepsWhatIsSet(t *testing.T) {
	no := false
	lab := &Lab{
		Name: "x", Etcd: Etcd{Source: "/e", Failpoints: &no, Args: map[string]string{heartbeat: "100"}},
		Members: Count(1), Disk: Disk{Kind: "plain"},
	}
	want := lab.clone()
	want.APIVersion, want.Kind = APIVersion, Kind
	lab.Default()
	if d := cmp.Diff(want, lab); d != "" {
		t.Error(d)
	}
}

func TestDefaultDoesNotShareArgs(t *testing.T) {
	args := map[string]string{"snapshot-count": "5"}
	lab := &Lab{Etcd: Etcd{Args: args}}
	lab.Default()
	if len(args) != 1 {
		t.Errorf("the caller's map became %v", args)
	}
	if lab.Etcd.Args["snapshot-count"] != "5" || lab.Etcd.Args[election] != "300" {
		t.Errorf("args %v", lab.Etcd.Args)
	}
}

func TestEtcdFor(t *testing.T) {
	lab := &Lab{
		Etcd: Etcd{Patches: []string{"p"}, Args: map[string]string{"a": "1", "b": "1"}, Env: map[string]string{"X": "1"}},
		Members: Members{
			{Name: "m1"},
			{Name: "m2", Etcd: Etcd{Source: "/tree", Args: map[string]string{"b": "2", "c": "2"}}},
		},
	}
	lab.Default()
	yes := true
	timers := map[string]string{heartbeat: "30", election: "300", "a": "1"}
	want := map[string]Etcd{
		"m1": {Version: DefaultVersion, Failpoints: &yes, Patches: []string{"p"}, Args: merged(timers, map[string]string{"b": "1"}), Env: lab.Etcd.Env},
		"m2": {Source: "/tree", Failpoints: &yes, Args: merged(timers, map[string]string{"b": "2", "c": "2"}), Env: lab.Etcd.Env},
	}
	for m, w := range want {
		got := lab.EtcdFor(m)
		if d := cmp.Diff(w, got); d != "" {
			t.Errorf("%s: %s", m, d)
		}
		got.Args["b"], *got.Failpoints = "changed", false
	}
	if d := cmp.Diff(want["m1"], lab.EtcdFor("m1")); d != "" {
		t.Errorf("EtcdFor shares memory: %s", d)
	}
	if got := lab.EtcdFor("m9"); got.Version != DefaultVersion {
		t.Errorf("a member that is not there: %+v", got)
	}
}

func TestUse(t *testing.T) {
	for in, want := range map[string]Etcd{
		"v3.5.4":  {Version: "v3.5.4"},
		"3.5.4":   {Version: "v3.5.4"},
		"/a/../b": {Source: "/b"},
		"main":    {Version: "main"},
	} {
		e := Etcd{Version: "v3.7.3", Source: "x"}
		e.Use(in)
		if d := cmp.Diff(want, e); d != "" {
			t.Errorf("%s: %s", in, d)
		}
	}
	var e Etcd
	e.Use("./tree")
	if e.Version != "" || !strings.HasSuffix(e.Source, "/lab/spec/tree") {
		t.Errorf("./tree: %+v", e)
	}
}

func TestDiff(t *testing.T) {
	a, b := &Lab{Name: "x"}, &Lab{Name: "x"}
	a.Default()
	b.Default()
	if d := Diff(a, b); d != "" {
		t.Errorf("equal labs differ: %s", d)
	}
	b.Etcd.Version = "v3.5.4"
	b.Etcd.Args["snapshot-count"] = "5"
	b.Disk.Size = 512 << 20
	b.TLS = true
	b.Members = Members{{Name: "m2", Etcd: Etcd{Source: "/e"}}, {Name: "m1"}}
	want := `disk.size: 1GiB -> 512MiB
etcd.args.snapshot-count: (none) -> "5"
etcd.version: v3.7.3 -> v3.5.4
members: m1, m2, m3 -> m1, m2
members.m2.etcd.source: (none) -> /e
tls: false -> true`
	if d := cmp.Diff(want, Diff(a, b)); d != "" {
		t.Error(d)
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[string]Size{
		"1GiB": 1 << 30, "512MiB": 512 << 20, "64KiB": 64 << 10, "2TiB": 2 << 40, "67108864": 64 << 20, "0": 0,
	} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "GiB", "1GB", "1.5GiB", "-1", "+1", "1 GiB", "1gib", "9223372036854775808", "8388608TiB", "１GiB"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("%q was read as %d", in, got)
		}
	}
	for in, want := range map[Size]string{0: "0", 4096: "4KiB", 5000: "5000", 1536 << 20: "1536MiB", -1: "-1", 8388607 << 40: "8388607TiB"} {
		if got := in.String(); got != want {
			t.Errorf("%d: %s, want %s", int64(in), got, want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("1GiB")
	f.Add("8388608TiB")
	f.Fuzz(func(t *testing.T, in string) {
		size, err := ParseSize(in)
		if err != nil {
			return
		}
		if again, err := ParseSize(size.String()); err != nil || again != size || size < 0 {
			t.Errorf("%q: %d, %s, %d, %v", in, size, size, again, err)
		}
	})
}

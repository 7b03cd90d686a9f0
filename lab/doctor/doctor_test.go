package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRun makes every check for real. What this machine has is its own affair;
// what a check must say is not.
func TestRun(t *testing.T) {
	began := time.Now()
	checks := Run(t.Context())
	// A busy machine is late, one that waits for a check is so for good.
	if took := time.Since(began); took > limit+30*time.Second {
		t.Errorf("took %v", took)
	}
	seen := map[string]bool{}
	for _, c := range checks {
		t.Logf("%-20s %-5v %s", c.Name, c.OK, c.Found)
		switch {
		case c.Name == "" || c.Found == "" || c.Needed == "" || len(c.For) == 0:
			t.Errorf("says too little: %+v", c)
		case c.OK != (c.How == ""):
			t.Errorf("must say how to get it when, and only when, it is missing: %+v", c)
		case seen[c.Name]:
			t.Errorf("two checks are called %s", c.Name)
		}
		seen[c.Name] = true
	}
	if _, err := json.Marshal(checks); err != nil {
		t.Error(err)
	}
}

func TestAnswers(t *testing.T) {
	probes := []probe{
		{"has it", []string{"a"}, "x", "get x", func(context.Context) (string, error) { return "x 1", nil }},
		{"is old", []string{"a"}, "y 2", "get y", func(context.Context) (string, error) { return "y 1", errLacking }},
		{"fails", []string{"b"}, "z", "get z", func(context.Context) (string, error) { return "", errors.New("no z") }},
		{"fails later", []string{"b"}, "z", "get z", func(context.Context) (string, error) { return "z", errors.New("broken") }},
	}
	got := run(t.Context(), probes)
	want := []Check{
		{"has it", true, "x 1", "x", "", []string{"a"}},
		{"is old", false, "y 1", "y 2", "get y", []string{"a"}},
		{"fails", false, "no z", "z", "get z", []string{"b"}},
		{"fails later", false, "z: broken", "z", "get z", []string{"b"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	var missing *MissingError
	if err := Missing(got); !errors.As(err, &missing) || len(missing.Checks) != 3 {
		t.Fatalf("missing: %v", err)
	}
	wantText := `this machine lacks something that the lab needs:
  is old: found y 1; needed y 2; to get it: get y
  fails: found no z; needed z; to get it: get z
  fails later: found z: broken; needed z; to get it: get z`
	if d := cmp.Diff(wantText, missing.Error()); d != "" {
		t.Error(d)
	}
	if err := Missing(got[:1]); err != nil {
		t.Errorf("nothing is missing, and yet: %v", err)
	}

	var table bytes.Buffer
	if err := Table(&table, got); err != nil {
		t.Fatal(err)
	}
	wantTable := `CHECK            FOUND      NEEDED  FOR
has it       ok  x 1        x       a
is old       --  y 1        y 2     a
fails        --  no z       z       b
fails later  --  z: broken  z       b

To get what is missing:
  is old: get y
  fails: get z
  fails later: get z
`
	if d := cmp.Diff(wantTable, table.String()); d != "" {
		t.Error(d)
	}
}

func TestCheckThatHangs(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	got := run(ctx, []probe{
		{"hangs", nil, "x", "get x", func(context.Context) (string, error) { <-release; return "x", nil }},
	})
	if got[0].OK || !strings.HasPrefix(got[0].Found, "no answer: ") {
		t.Errorf("%+v", got[0])
	}
}

func TestForTakesWhatTheProviderNeeds(t *testing.T) {
	names := func(provider, fs string) (names []string) {
		for _, p := range needs(provider, fs) {
			names = append(names, p.name)
		}
		return names
	}
	if got := names("docker", "ext4"); !slices.Equal(got, []string{"Docker"}) {
		t.Errorf("docker: %v", got)
	}
	if len(probes()) < 5 {
		t.Skip("the process provider is Linux's")
	}
	base := []string{"root", "capabilities", "cgroup freezer"}
	net := []string{"network namespaces", "disk for labs"}
	for fs, want := range map[string][]string{
		"":      slices.Concat(base, net),
		"ext4":  slices.Concat(base, []string{"FUSE", "loop device", "ext4"}, net),
		"xfs":   slices.Concat(base, []string{"FUSE", "loop device", "xfs"}, net),
		"btrfs": slices.Concat(base, []string{"FUSE", "loop device", "btrfs"}, net),
	} {
		if d := cmp.Diff(want, names("process", fs)); d != "" {
			t.Errorf("process with %q: %s", fs, d)
		}
	}
	if got := names("vm", "ext4"); !slices.Equal(got, []string{"QEMU", "disk for labs"}) {
		t.Errorf("vm: %v", got)
	}
}

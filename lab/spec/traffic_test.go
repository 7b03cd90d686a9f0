package spec

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const exampleTraffic = `apiVersion: etcdlab.dev/v1alpha1
kind: Scenario
name: load
run:
  fault: none
  duration: 10m
  traffic:
    profile: kubernetes
    weights: {put: 5, get: 0}
    sizes: {128: 90, 32KiB: 10}
    rate: 0
    perMember: 6
    leaseTTLs: [1, 5]
    compactEvery: 500ms
    auth: true
`

func TestDecodeTraffic(t *testing.T) {
	s, err := DecodeScenario("s.yaml", []byte(exampleTraffic))
	if err != nil {
		t.Fatal(err)
	}
	zero, six, half, yes := 0, 6, 500*time.Millisecond, true
	want := Run{Fault: "none", Duration: 10 * time.Minute, Traffic: Traffic{
		Profile: "kubernetes", Weights: map[string]int{"put": 5, "get": 0}, Sizes: []SizeWeight{{128, 90}, {32 << 10, 10}},
		Rate: &zero, PerMember: &six, LeaseTTLs: []int{1, 5}, CompactEvery: &half, Auth: &yes,
	}}
	if d := cmp.Diff(want, s.Run); d != "" {
		t.Error(d)
	}
	if !s.Run.Traffic.Changes() || (&Traffic{Profile: "puts"}).Changes() {
		t.Error("Changes")
	}
	s, err = DecodeScenario("s.yaml", []byte("apiVersion: etcdlab.dev/v1alpha1\nkind: Scenario\nname: x\nrun: {fault: kill, traffic: puts}"))
	if err != nil || s.Run.Traffic.Profile != "puts" || s.Run.Traffic.Changes() {
		t.Errorf("a name alone: %+v, %v", s, err)
	}
	if got := s.Problem("run.traffic.profile", errors.New("no such load")).Error(); !strings.HasPrefix(got, "s.yaml:4:29: no such load") {
		t.Error(got)
	}
}

func TestTrafficProblems(t *testing.T) {
	for want, change := range map[string][2]string{
		"s.yaml:6:13: duration must be a length of time":          {"10m", "10"},
		"s.yaml:6:13: duration must be more than 0":               {"10m", "0s"},
		"s.yaml:7:12: traffic must be a profile's name":           {"traffic:\n    profile: kubernetes\n    weights: {put: 5, get: 0}\n    sizes: {128: 90, 32KiB: 10}\n    rate: 0\n    perMember: 6\n    leaseTTLs: [1, 5]\n    compactEvery: 500ms\n    auth: true\n", "traffic: [puts]\n"},
		"s.yaml:8:5: unknown field \"profil\", did you mean":      {"profile:", "profil:"},
		"s.yaml:9:20: put must be a whole number, not the text":   {"put: 5", "put: many"},
		"s.yaml:9:20: put must not be less than 0":                {"put: 5", "put: -5"},
		"s.yaml:10:13: \"big\" is not a size":                     {"128: 90", "big: 90"},
		"s.yaml:11:11: rate must be a whole number":               {"rate: 0", "rate: fast"},
		"s.yaml:13:17: leaseTTLs[0] must be at least 1":           {"[1, 5]", "[0, 5]"},
		"s.yaml:13:16: leaseTTLs must be a list, not a number":    {"[1, 5]", "5"},
		"s.yaml:14:19: compactEvery must be a length of time":     {"500ms", "often"},
		"s.yaml:15:11: auth must be true or false, not the text":  {"auth: true", "auth: on"},
		"s.yaml:16:5: unknown field \"watcher\", did you mean":    {"auth: true", "auth: true\n    watcher: 3"},
		"s.yaml:9:14: weights must be a mapping of fields to val": {"{put: 5, get: 0}", "3"},
	} {
		text := strings.Replace(exampleTraffic, change[0], change[1], 1)
		_, err := DecodeScenario("s.yaml", []byte(text))
		var problem *Error
		if !errors.As(err, &problem) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %s\ngot  %v", want, err)
		}
	}
}

package crash

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Scenario is a lab and a run in one, by name.
type Scenario struct {
	Name    string            `json:"name"`
	Doc     string            `json:"doc"`
	Members int               `json:"members"`
	Etcd    string            `json:"etcd,omitempty"` // the version it is about; "" is the default
	Args    map[string]string `json:"args,omitempty"` // etcd flags
	Disk    string            `json:"disk,omitempty"` // the kind of disk it is about; "" is the default
	Lab     *spec.Lab         `json:"-"`              // of a scenario file, instead of the three above
	Options Options           `json:"-"`
}

// scenarios are the built-in ones, in the order they are listed.
var scenarios = []Scenario{
	{
		Name:    "power-loss",
		Doc:     "3 members under load, all of them lose power at once, with a policy drawn for each disk of each round",
		Members: 3,
		Options: Options{Fault: "power-loss", Target: TargetAll, Policy: fault.Mixed, Rounds: 6, OpsBefore: 1600},
	},
	{
		Name:    "kill",
		Doc:     "3 members under load, a majority of them is killed with SIGKILL",
		Members: 3,
		Options: Options{Fault: "kill", Target: TargetQuorum, Rounds: 5},
	},
	{
		Name:    "io-error",
		Doc:     "3 members under load, one flush of the leader's disk fails with EIO",
		Members: 3,
		Options: Options{Fault: "io-error", Target: TargetLeader, Rounds: 5},
	},
	{
		Name:    "failpoint",
		Doc:     "3 members under load, panics at each failpoint of the binary in turn, on whichever members reach it; points that the load does not reach are said",
		Members: 3,
		Options: Options{Fault: "failpoint", Target: TargetAll, Points: []string{AllPoints}, PointWithin: 1500 * time.Millisecond, OpsBefore: 300, OpsAfter: 100},
	},
	{
		Name:    "host-crash",
		Doc:     "3 members under load, the machine of one of them panics, is reset or hangs, in turn; needs --provider vm",
		Members: 3,
		Options: Options{Fault: "host-crash", Target: TargetRandom, Rounds: 3, OpsBefore: 300, OpsAfter: 100},
	},
	{
		Name: "dm-flakey",
		Doc: "3 members under load on dm-flakey: all lose power with drop_writes under a frozen etcd, then writes of the leader's disk" +
			" fail with error_writes, in turn; needs --provider vm --disk dm",
		Members: 3,
		Disk:    "dm",
		Options: Options{Fault: "power-loss", Target: TargetAll, Policy: "drop", IO: "write", Rounds: 4, OpsBefore: 400, OpsAfter: 100,
			Then: []Turn{{Fault: "io-error", Target: TargetLeader}}},
	},
	{
		Name:    "healthy",
		Doc:     "3 members under load, and nothing is done to them; --traffic and --duration say which load and for how long",
		Members: 3,
		Options: Options{Fault: fault.NameNone, Duration: 30 * time.Second},
	},
	{
		Name: "bug/14370",
		Doc: "etcd issue #14370: a single member acknowledges writes before they are in its WAL, and loses them when it panics" +
			" at raftBeforeSave; in v3.5.0 to v3.5.4, fixed in v3.5.5",
		Members: 1,
		Etcd:    "v3.5.4",
		Options: Options{Fault: "failpoint", Target: TargetAll, Points: []string{"raftBeforeSave"}, Rounds: 8, OpsBefore: 400, OpsAfter: 100},
	},
	{
		Name: "bug/14429",
		Doc: "etcd pull request 14429: listing alarms does not move the consistent index; with a small snapshot-count a single member" +
			" that is killed then does not start again; in v3.5.0 to v3.5.4, fixed in v3.5.5",
		Members: 1,
		Etcd:    "v3.5.4",
		Args:    map[string]string{"snapshot-count": "5"},
		Options: Options{Fault: "kill", Target: TargetAll, Traffic: named("alarm-list"), Rounds: 5, OpsBefore: 400, OpsAfter: 100},
	},
	{
		Name: "bug/18667",
		Doc: "etcd issue #18667: a transaction that reads at a compacted revision and puts is applied by members that have not" +
			" compacted yet and not by others; in v3.6.14, fixed in v3.7.0",
		Members: 3,
		Etcd:    "v3.6.14",
		Options: Options{Fault: fault.NameNone, Traffic: named("compacted-reads"), Duration: 8 * time.Second},
	},
}

// named is a built-in profile of the load.
func named(name string) traffic.Profile {
	p, err := traffic.Find(name)
	if err != nil {
		panic(err) // a test looks at every scenario
	}
	return p
}

// Scenarios lists the built-in scenarios.
func Scenarios() []Scenario { return slices.Clone(scenarios) }

// FindScenario returns a built-in scenario by name.
func FindScenario(name string) (Scenario, error) {
	var names []string
	for _, s := range scenarios {
		if s.Name == name {
			s.Options.Scenario = name
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("unknown scenario %q; the scenarios are %s; a scenario file's name ends in .yaml", name, strings.Join(names, ", "))
}

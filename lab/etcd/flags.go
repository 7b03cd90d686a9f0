package etcd

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/etcdlab/etcdlab/lab"
)

// flag is a setting by its newest name, where releases differ in it.
type flag struct {
	// since is the first release that has it, in any form; "" is 3.5.0.
	since string
	// experimental says that before 3.6 the flag was experimental-NAME. 3.6 takes
	// both, 3.7 the new one only.
	experimental bool
	// gate is what became of it in 3.6: a feature gate, no flag.
	gate string
}

var flags = map[string]flag{
	"bootstrap-defrag-threshold-megabytes": {experimental: true},
	"compact-hash-check-time":              {since: "v3.5.5", experimental: true},
	"compaction-batch-limit":               {experimental: true},
	"compaction-sleep-interval":            {since: "v3.5.16", experimental: true},
	"corrupt-check-time":                   {experimental: true},
	"distributed-tracing-address":          {experimental: true},
	"distributed-tracing-instance-id":      {experimental: true},
	"distributed-tracing-sampling-rate":    {since: "v3.5.12", experimental: true},
	"distributed-tracing-service-name":     {experimental: true},
	"downgrade-check-time":                 {experimental: true},
	"enable-distributed-tracing":           {experimental: true},
	"max-learners":                         {since: "v3.6.0-alpha.0"},
	"memory-mlock":                         {experimental: true},
	"peer-skip-client-san-verification":    {experimental: true},
	"snapshot-catchup-entries":             {since: "v3.5.14", experimental: true},
	"warning-apply-duration":               {experimental: true},
	"watch-progress-notify-interval":       {experimental: true},

	"compact-hash-check-enabled":        {since: "v3.5.5", experimental: true, gate: "CompactHashCheck"},
	"enable-lease-checkpoint":           {experimental: true, gate: "LeaseCheckpoint"},
	"enable-lease-checkpoint-persist":   {experimental: true, gate: "LeaseCheckpointPersist"},
	"initial-corrupt-check":             {experimental: true, gate: "InitialCorruptCheck"},
	"stop-grpc-service-on-defrag":       {since: "v3.5.14", experimental: true, gate: "StopGRPCServiceOnDefrag"},
	"txn-mode-write-with-shared-buffer": {experimental: true, gate: "TxnModeWriteWithSharedBuffer"},
}

const (
	gatesFlag    = "feature-gates"
	experimental = "experimental-"
)

// Flags gives the flags of a release for settings by their newest names, such as
// snapshot-catchup-entries; names without experimental- in front and names of
// settings that became feature gates are right for every release. lacking are
// those that the release does not have in any form, in order of name.
func Flags(settings map[string]string, version string) (args map[string]string, lacking []string) {
	args = map[string]string{}
	old := before(version, "v3.6.0-alpha.0")
	var gates []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := settings[name]
		f := flags[name]
		switch {
		case name == gatesFlag && old:
			for gate := range strings.SplitSeq(value, ",") {
				if name, on, ok := ungated(gate); !ok || before(version, flags[name].since) {
					lacking = append(lacking, gate)
				} else {
					args[experimental+name] = on
				}
			}
		case name == gatesFlag:
			gates = append(gates, value)
		case f.since != "" && before(version, f.since):
			lacking = append(lacking, name)
		case f.gate != "" && !old:
			gates = append(gates, f.gate+"="+value)
		case f.experimental && old:
			args[experimental+name] = value
		default:
			args[name] = value
		}
	}
	if len(gates) > 0 {
		args[gatesFlag] = strings.Join(gates, ",")
	}
	return args, lacking
}

// Settings is Flags the other way: the newest name of each flag of any release.
func Settings(args map[string]string) map[string]string {
	settings := map[string]string{}
	for name, value := range args {
		if bare, ok := strings.CutPrefix(name, experimental); ok && flags[bare].experimental {
			name = bare
		}
		if name != gatesFlag {
			settings[name] = value
			continue
		}
		var others []string
		for gate := range strings.SplitSeq(value, ",") {
			if name, on, ok := ungated(gate); ok {
				settings[name] = on
			} else if gate != "" {
				others = append(others, gate)
			}
		}
		if len(others) > 0 {
			settings[gatesFlag] = strings.Join(others, ",")
		}
	}
	return settings
}

// ungated is the setting of a gate such as CompactHashCheck=true.
func ungated(gate string) (name, value string, ok bool) {
	gate, value, _ = strings.Cut(gate, "=")
	for name, f := range flags {
		if f.gate != "" && f.gate == gate {
			return name, value, true
		}
	}
	return "", "", false
}

// As is what to set for a command line, without the program, of any release to be
// taken by another one. lacking are settings that it does not have.
func As(line []string, version string) (s lab.Settings, lacking []string) {
	was := map[string]string{}
	for _, arg := range line {
		name, value, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		was[name] = value
	}
	now, lacking := Flags(Settings(was), version)
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, stays := now[name]; !stays {
			s.Without = append(s.Without, name)
		}
	}
	for name, value := range now {
		if v, had := was[name]; !had || v != value {
			if s.Args == nil {
				s.Args = map[string]string{}
			}
			s.Args[name] = value
		}
	}
	return s, lacking
}

// before says whether a release came before another; what is no version is the
// newest.
func before(version, other string) bool {
	return semver.IsValid(version) && other != "" && semver.Compare(version, other) < 0
}

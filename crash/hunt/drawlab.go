package hunt

import (
	"math/rand/v2"
	"time"

	"github.com/etcdlab/etcdlab/lab/etcd"
	"github.com/etcdlab/etcdlab/lab/spec"
)

const second = time.Second

// settings are flags of etcd, by their newest names, that decide how often it does
// what can go wrong; each with the share of labs that set it, and to what.
var settings = []struct {
	name   string
	share  float64
	values []string
}{
	{"snapshot-count", .5, []string{"5", "20", "100", "1000"}},
	{"snapshot-catchup-entries", .3, []string{"5", "100", "1000"}},
	{"compaction-batch-limit", .3, []string{"10", "100"}},
	{"compaction-sleep-interval", .1, []string{"1ms", "100ms"}},
	{"watch-progress-notify-interval", .3, []string{"100ms", "1s"}},
	{"backend-batch-interval", .25, []string{"5ms", "1s", "5s"}},
	{"backend-batch-limit", .15, []string{"10", "100"}},
	{"pre-vote", .1, []string{"false"}},
}

func drawLab(sp *Space, r *rand.Rand) spec.Lab {
	l := spec.Lab{Members: spec.Count(pick(r, sp.Members...)), Etcd: spec.Etcd{Version: sp.Version}}
	said := map[string]string{}
	for _, s := range settings {
		if value := pick(r, s.values...); chance(r, s.share) {
			said[s.name] = value
		}
	}
	args, _ := etcd.Flags(said, sp.Version) // those it lacks are left out
	if chance(r, .2) {
		args["heartbeat-interval"], args["election-timeout"] = "100", "1000"
	}
	if len(args) > 0 {
		l.Etcd.Args = args
	}
	if fs := pick(r, sp.FSes...); chance(r, .15) {
		l.Disk.FS = fs
	}
	if p := pick(r, "honest-4k", "fua", "no-cache"); chance(r, .2) {
		l.Disk.Profile = p
	}
	return l
}

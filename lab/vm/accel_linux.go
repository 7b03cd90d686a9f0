package vm

import (
	"maps"
	"strconv"
)

// accel is how guests are run here.
type accel struct {
	kind string  // kvm or tcg
	slow float64 // how many times longer than usual things take
	why  string  // why not kvm
}

// tcgSlow is what emulation costs, measured with etcd's puts under 3 guests on 2
// processors.
const tcgSlow = 4

// Timers of package spec's defaults.
const (
	heartbeat        = "heartbeat-interval"
	election         = "election-timeout"
	defaultHeartbeat = 30
	defaultElection  = 300
)

// timers are etcd's arguments with the lab's default timers at the speed of the
// machine: elections would else never end. What the user has set is the user's.
func (a accel) timers(args map[string]string) map[string]string {
	if !a.scales(args) {
		return args
	}
	scaled := maps.Clone(args)
	scaled[heartbeat] = strconv.Itoa(int(defaultHeartbeat * a.slow))
	scaled[election] = strconv.Itoa(int(defaultElection * a.slow))
	return scaled
}

func (a accel) scales(args map[string]string) bool {
	return a.slow > 1 && args[heartbeat] == strconv.Itoa(defaultHeartbeat) && args[election] == strconv.Itoa(defaultElection)
}

package agent

import (
	"slices"

	"github.com/etcdlab/etcdlab/lab"
)

// Fill puts what the agent knows into what is known of its member.
func (s *Status) Fill(info *lab.Info) {
	info.State, info.PID, info.Broken = s.State, s.PID, s.Broken
	info.Settings, info.Wiped = s.Settings, s.Wiped
	if len(s.Command) > 0 {
		info.SpecVersion = info.Version
		info.Args, info.Version = s.Command, s.Version
	}
	if s.Exit != nil && s.PID == 0 {
		info.Exit, info.Outside = s.Exit.String(), s.Exit.outside()
		if info.Outside {
			info.Exit = s.Exit.Status // what it logged last has nothing to do with it
		}
	}
	if s.DiskFail != "" {
		info.Exit, info.Unmountable = s.DiskFail, s.DiskFail
	}
}

// outside says whether somebody else ended etcd: a user, the OOM killer. A
// crash of etcd's own is an exit status, or another signal.
func (e *Exit) outside() bool {
	return !e.Requested && !e.Memory && slices.Contains([]string{"signal: killed", "signal: terminated", "signal: interrupt", "signal: hangup"}, e.Status)
}

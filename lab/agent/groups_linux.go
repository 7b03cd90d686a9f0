package agent

import (
	"errors"
	"os"

	"github.com/etcdlab/etcdlab/internal/cgroup"
	"github.com/etcdlab/etcdlab/lab"
)

// openGroups makes etcd's control group, and one for the agent itself: neither is
// ever to be frozen with the other. The first process of a container or a guest
// stays where it was put.
func (a *Agent) openGroups() error {
	want := cgroup.Version(a.cfg.Freezer)
	if want == "" {
		want = cgroup.Version(os.Getenv(cgroup.EnvFreezer))
	}
	if want == cgroup.Stop {
		a.group = cgroup.NewStop()
		return nil
	}
	h, err := cgroup.Usable(want)
	if err != nil && a.cfg.Disk.Kind == "plain" {
		// A power loss, which a plain disk cannot have, must not be seen by
		// the one who loses it; a pause may.
		a.log.Info("etcd will be frozen by SIGSTOP", "why", oneLine(err))
		a.group = cgroup.NewStop()
		return nil
	}
	if errors.Is(err, cgroup.ErrNone) {
		return &lab.EnvironmentError{
			Check: "freezer", Found: oneLine(err), Needed: "cgroup v2 or the v1 freezer, writable",
			Get: "in a container: --cap-add SYS_ADMIN with seccomp and AppArmor unconfined; or use disk: {kind: plain}",
		}
	}
	if err != nil {
		return err
	}
	if os.Getpid() != 1 {
		own, err := h.Create(lab.Cgroup(a.cfg.Lab, a.cfg.Member, "agent"))
		if err != nil {
			return err
		}
		if err := own.Join(os.Getpid()); err != nil {
			return err
		}
	}
	a.group, err = h.Create(lab.Cgroup(a.cfg.Lab, a.cfg.Member, "etcd"))
	return err
}

package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/mod/semver"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/etcd"
)

var (
	upgradeKind   = versionKind("upgrade", "newer")
	downgradeKind = versionKind("downgrade", "older")
)

func versionKind(name, which string) Kind {
	return Kind{
		Name: name, Group: GroupCluster,
		Doc:    "the targets go to a " + which + " release one by one, on their own data; healed by going back the same way",
		Params: []Param{{Name: "to", Doc: "the release, such as v3.6.14; it must be there to be had (etcdlab images build), and the minor next to the lab's at most", Type: text(releaseForm), Default: "v3.7.3"}},
		New: func(a Args) (Fault, error) {
			return &Version{To: a.Text("to"), Up: name == "upgrade"}, nil
		},
	}
}

func releaseForm(s string) error {
	if !semver.IsValid(s) || strings.Count(s, ".") < 2 {
		return fmt.Errorf("%q is no release, such as v3.6.14", s)
	}
	return nil
}

// Version changes the release that members run.
type Version struct {
	To string
	Up bool
}

func (*Version) Needs(m lab.Member) error {
	return all(m, needs[lab.Runner], needs[lab.Configurer])
}

func (f *Version) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	if s.Binaries == nil {
		return Effect{}, errors.New("other releases of etcd cannot be had here")
	}
	binaries := map[string]*lab.Binaries{}
	from := ""
	for _, m := range targets {
		info, err := m.Info(ctx)
		if err != nil {
			return Effect{}, err
		}
		if from = info.Version; semver.IsValid(from) && (semver.Compare(f.To, from) > 0) != f.Up {
			return Effect{}, lab.Misuse("%s to %s: %s runs %s", map[bool]string{true: "upgrade", false: "downgrade"}[f.Up], f.To, m.Name(), from)
		}
		b, err := s.Binaries(ctx, m.Name(), f.To)
		if err != nil {
			return Effect{}, err
		}
		binaries[m.Name()] = &b
	}
	if err := s.mayDowngrade(ctx, from, f.To); err != nil {
		return Effect{}, err
	}
	// After an earlier change the leader raises the cluster's version in its own
	// time, by one minor at a time: where it lagged by two it would never.
	if _, err := until(ctx, s.slow(changeFor), func(ctx context.Context) (bool, error) {
		return !f.Up || s.storage(ctx, strings.TrimPrefix(from, "v")), nil
	}); err != nil {
		return Effect{}, err
	}
	for _, m := range targets {
		info, err := m.Info(ctx)
		if err != nil {
			return Effect{}, err
		}
		settings, lacking := etcd.As(info.Args[1:], f.To)
		settings.Binaries = binaries[m.Name()]
		message := "from " + info.Version + " to " + f.To
		if len(lacking) > 0 {
			message += ", without " + strings.Join(lacking, ", ")
		}
		if err := s.restartAs(ctx, m, &settings, message); err != nil {
			return Effect{}, err
		}
		if runs, err := s.runs(ctx, m); err != nil || runs != f.To {
			return Effect{Message: fmt.Sprintf("%s runs %s, not %s", m.Name(), runs, f.To)}, err
		}
	}
	return Effect{Observed: true, Message: fmt.Sprintf("%d members run %s, which was %s", len(targets), f.To, from)}, nil
}

// runs asks etcd itself for its release.
func (s *Scene) runs(ctx context.Context, m lab.Member) (string, error) {
	short, cancel := context.WithTimeout(ctx, s.slow(5*time.Second))
	defer cancel()
	c := s.Cluster.Client(m.Name())
	st, err := c.Status(short, c.Endpoints()[0])
	if err != nil {
		info, infoErr := m.Info(ctx)
		return string(info.State) + " (" + info.Exit + ")", infoErr
	}
	return "v" + strings.TrimPrefix(st.Version, "v"), nil
}

// mayDowngrade has the cluster allow members of an older minor, if that is what
// is to come: from 3.6 on etcd then writes its data so that those can read them.
func (s *Scene) mayDowngrade(ctx context.Context, from, to string) error {
	if !semver.IsValid(from) || semver.Compare(semver.MajorMinor(to), semver.MajorMinor(from)) >= 0 {
		return nil
	}
	target := strings.TrimPrefix(semver.MajorMinor(to), "v") + ".0"
	var last error
	ok, err := until(ctx, s.slow(changeFor), func(ctx context.Context) (bool, error) {
		leader, err := s.Cluster.Leader(ctx)
		if err != nil {
			return false, err
		}
		short, cancel := context.WithTimeout(ctx, s.slow(10*time.Second))
		defer cancel()
		_, last = s.Cluster.Client(leader).Downgrade(short, clientv3.DowngradeEnable, target)
		return last == nil || strings.Contains(last.Error(), "downgrade job in progress") || strings.Contains(last.Error(), "inflight downgrade"), nil
	})
	if err == nil && !ok {
		err = fmt.Errorf("have the cluster allow a downgrade to %s: %w", target, last)
	}
	if err != nil {
		return err
	}
	// The data are of the older form once the leader has said so to all.
	_, err = until(ctx, s.slow(changeFor), func(ctx context.Context) (bool, error) {
		return s.storage(ctx, target), nil
	})
	return err
}

// storage says whether every member's data are of that form.
func (s *Scene) storage(ctx context.Context, version string) bool {
	return !slices.ContainsFunc(s.Members, func(m lab.Member) bool {
		short, cancel := context.WithTimeout(ctx, s.slow(time.Second))
		defer cancel()
		c := s.Cluster.Client(m.Name())
		st, err := c.Status(short, c.Endpoints()[0])
		return err != nil || st.StorageVersion != "" && semver.MajorMinor("v"+st.StorageVersion) != semver.MajorMinor("v"+version)
	})
}

// Heal goes back to the spec's release, one by one.
func (f *Version) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	var changed []lab.Member
	for _, m := range targets {
		info, err := m.Info(ctx)
		if err != nil {
			return err
		}
		if info.Settings != nil {
			changed = append(changed, m)
		}
	}
	if len(changed) == 0 {
		return each(targets, func(m lab.Member) error { return s.start(ctx, m) })
	}
	if back, err := s.specVersion(ctx, changed[0]); err != nil {
		return err
	} else if f.Up && back != "" {
		if err := s.mayDowngrade(ctx, f.To, back); err != nil {
			return err
		}
	}
	for _, m := range changed {
		s.event(history.EventFault, m.Name(), "back to its own release")
		if err := s.unconfigure(ctx, m); err != nil {
			return err
		}
		if err := s.serves(ctx, m); err != nil {
			return err
		}
	}
	if f.Up {
		return nil
	}
	return s.raise(ctx, changed[0])
}

// raise takes back that the cluster may go to an older minor, and waits until it
// is of its members' again: until then the leader raises nothing.
func (s *Scene) raise(ctx context.Context, m lab.Member) error {
	spec, err := s.specVersion(ctx, m)
	if err != nil || !semver.IsValid(spec) || semver.Compare(spec, "v3.6.0") < 0 {
		return err // older ones say nothing of it
	}
	var last error
	ok, err := until(ctx, s.slow(changeFor), func(ctx context.Context) (bool, error) {
		leader, err := s.Cluster.Leader(ctx)
		if err != nil {
			return false, err
		}
		short, cancel := context.WithTimeout(ctx, s.slow(5*time.Second))
		defer cancel()
		_, last = s.Cluster.Client(leader).Downgrade(short, clientv3.DowngradeCancel, strings.TrimPrefix(semver.MajorMinor(spec), "v")+".0")
		return s.storage(ctx, strings.TrimPrefix(spec, "v")), nil
	})
	if err == nil && !ok {
		err = fmt.Errorf("raise the cluster's version to that of %s again: not seen within %v; to end the downgrade etcd said: %v", spec, s.slow(changeFor), last)
	}
	return err
}

// specVersion is the release of a member by its lab.
func (s *Scene) specVersion(ctx context.Context, m lab.Member) (string, error) {
	info, err := m.Info(ctx)
	return info.SpecVersion, err
}

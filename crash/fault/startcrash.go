package fault

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/failpoint"
)

// Moments at which crash-at-start ends etcd, and the failpoints that are at them:
// the first that the binary has.
var moments = map[string][]string{
	// The first commit of the db, before any entry is applied.
	"start": {"beforeCommit", "commitBeforePreCommitHook"},
	// The log was read and raft goes through it.
	"replay": {"beforeApplyOneEntryNormal", "raftBeforeSave"},
	// A snapshot of the leader's arrived, for a member that was away too long.
	"snapshot": {"applyBeforeOpenSnapshot", "raftBeforeApplySnap"},
	// The defragmented db is about to replace the old one.
	"defrag": {"defragBeforeRename"},
}

var startCrashKind = Kind{
	Name: "crash-at-start", Group: GroupProcess,
	Doc: "etcd is killed, and panics when it is started again, at a failpoint that is armed from the start; then it is started without",
	Params: []Param{
		{Name: "during", Doc: "what it is doing then: the first commit of its db, the replay of its log, receiving a snapshot, or a defragmentation (for which it runs)", Type: word("start", "replay", "snapshot", "defrag"), Default: "start"},
		{Name: "point", Doc: "a failpoint of one's own choosing instead", Type: text(pointForm)},
	},
	New: func(a Args) (Fault, error) {
		return &StartCrash{During: a.Text("during"), Point: a.Text("point")}, nil
	},
}

func pointForm(s string) error {
	if strings.ContainsAny(s, "=;\n \"") {
		return fmt.Errorf("%q is no failpoint's name", s)
	}
	return nil
}

// StartCrash has etcd panic while it starts.
type StartCrash struct {
	During string // see moments
	Point  string // "" is that of the moment
}

func (*StartCrash) Needs(m lab.Member) error {
	return all(m, needs[lab.Runner], needs[lab.Configurer])
}

func (f *StartCrash) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	points := map[string]string{}
	for _, m := range targets {
		point, err := f.point(ctx, m)
		if err != nil {
			return Effect{}, err
		}
		points[m.Name()] = point
	}
	if f.During == "defrag" && f.Point == "" {
		return (&Failpoint{Point: points[targets[0].Name()]}).Apply(ctx, s, targets)
	}
	if err := each(targets, func(m lab.Member) error { return kill(ctx, s, m) }); err != nil {
		return Effect{}, err
	}
	if f.During == "snapshot" && f.Point == "" {
		if quorum := len(s.Members)/2 + 1; len(s.Members)-len(targets) < quorum {
			return Effect{}, fmt.Errorf("crash at a snapshot: %d of %d members must go on, to send it", quorum, len(s.Members))
		}
		if _, err := s.PastSnapshot(ctx, s.again); err != nil {
			return Effect{}, err
		}
	}
	err := each(targets, func(m lab.Member) error { return s.startArmed(ctx, m, points[m.Name()]) })
	if err != nil {
		return Effect{}, err
	}
	// Which of several targets come to the point may depend on the others.
	panicked, err := s.ended(ctx, targets, s.slow(endsWithin), nil)
	if err != nil {
		return Effect{}, err
	}
	for name, how := range panicked {
		s.event(history.EventExited, name, how)
	}
	which := strings.Join(slices.Compact(slices.Sorted(maps.Values(points))), ", ")
	if len(panicked) == 0 {
		return Effect{Message: fmt.Sprintf("%s was not reached within %v", which, s.slow(endsWithin))}, nil
	}
	return Effect{Observed: true, Message: fmt.Sprintf("panic at %s on %s", which, strings.Join(slices.Sorted(maps.Keys(panicked)), ", "))}, nil
}

// startArmed starts etcd with the point armed.
func (s *Scene) startArmed(ctx context.Context, m lab.Member, point string) error {
	armed := lab.Settings{Env: map[string]string{"GOFAIL_FAILPOINTS": point + `=panic("etcdlab")`}}
	if err := s.configure(ctx, m, &armed, "panic at "+point+" from its start on"); err != nil {
		return err
	}
	return s.start(ctx, m)
}

// point is the failpoint on a member: one that its binary has.
func (f *StartCrash) point(ctx context.Context, m lab.Member) (string, error) {
	want := moments[f.During]
	if f.Point != "" {
		want = []string{f.Point}
	}
	info, err := m.Info(ctx)
	if err != nil {
		return "", err
	}
	if info.FailpointURL == "" {
		return "", &lab.UnsupportedError{Member: m.Name(), Capability: "failpoint", Reason: "its etcd was built without failpoints"}
	}
	list, err := failpoint.New(info.FailpointURL).List(ctx)
	if err != nil {
		return "", err
	}
	var missing error
	for _, p := range want {
		if err := failpoint.Find(list, p); err == nil {
			return p, nil
		} else if missing == nil {
			missing = err
		}
	}
	return "", missing
}

// Heal puts the spec's environment back and starts etcd without it.
func (f *StartCrash) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error { return s.unconfigure(ctx, m) })
}

// configure lays settings over those that a member has.
func (s *Scene) configure(ctx context.Context, m lab.Member, over *lab.Settings, message string) error {
	c, err := lab.Can[lab.Configurer](m)
	if err != nil {
		return err
	}
	if err := c.Configure(ctx, over); err != nil {
		return err
	}
	s.event(history.EventConfigured, m.Name(), message)
	return nil
}

// unconfigure puts the spec's settings back and has etcd run with them: one that
// runs with others is killed.
func (s *Scene) unconfigure(ctx context.Context, m lab.Member) error {
	before, err := m.Info(ctx)
	if err != nil {
		return err
	}
	if err := s.configure(ctx, m, nil, "as its spec says"); err != nil {
		return err
	}
	if before.Settings != nil && before.State != lab.StateStopped {
		if err := kill(ctx, s, m); err != nil {
			return err
		}
	}
	return s.start(ctx, m)
}

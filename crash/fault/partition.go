package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab"
)

// NamePartition is the fault that cuts members off from each other.
const NamePartition = "partition"

// Shapes of a partition.
const (
	shapeIsolate   = "isolate"
	shapeHalves    = "halves"
	shapeRing      = "ring"
	shapeBridge    = "bridge"
	shapePrimaries = "primaries"
)

func partitionKind() Kind {
	return Kind{
		Name: NamePartition, Group: GroupNetwork, Beside: true, Members: 2,
		Doc: "members cannot reach each other, or their clients; what they start themselves neither",
		Params: []Param{
			{"shape", "isolate: each target from every other member; halves: targets from the rest (a minority at random if all are); ring: each sees its two neighbours only; bridge: halves with one member that sees both; primaries: each that says that it leads from every other", word(shapeIsolate, shapeHalves, shapeRing, shapeBridge, shapePrimaries), shapeIsolate},
			{"direction", "which way nothing passes, as the cut off member sees it", word("both", lab.NetIn, lab.NetOut), "both"},
			{"side", "from whom: of isolate and primaries", word(sidePeer, sideClient, sideBoth), sidePeer},
			{"how", "drop: silence; reject: a reset at once; unreachable: ICMP says so at once", word(lab.NetDrop, lab.NetReject, lab.NetUnreachable), lab.NetDrop},
		},
		New: func(a Args) (Fault, error) {
			p := &partition{shape: a.Text("shape"), side: a.Text("side"), rule: lab.NetRule{Action: a.Text("how")}}
			if d := a.Text("direction"); d != "both" {
				p.rule.Direction = d
			}
			if p.side != sidePeer && p.shape != shapeIsolate && p.shape != shapePrimaries {
				return nil, fmt.Errorf("a partition of shape %s is between members: side %s goes with isolate and primaries", p.shape, p.side)
			}
			return &Network{NamePartition, p.plan, hitFor}, nil
		},
	}
}

type partition struct {
	shape, side string
	rule        lab.NetRule
}

func (p *partition) plan(ctx context.Context, s *Scene, targets []lab.Member) ([]link, error) {
	rng := seed.Rand(s.Seed, "partition")
	switch p.shape {
	case shapeIsolate:
		return p.isolate(ctx, s, targets)
	case shapePrimaries:
		leaders, err := s.leaders(ctx)
		if err != nil {
			return nil, err
		}
		return p.isolate(ctx, s, leaders)
	case shapeHalves:
		few := targets
		if len(few) == len(s.Members) {
			few = shuffled(rng, s.Members)[:len(s.Members)/2]
		}
		return p.apart(ctx, few, func(_, other lab.Member) bool { return !contains(few, other) }, s.Members)
	case shapeBridge:
		if len(s.Members) < 3 {
			return nil, errors.New("a bridge needs 3 members or more, one of them between the halves")
		}
		order := shuffled(rng, s.Members)
		half := order[1 : 1+(len(order)-1)/2]
		return p.apart(ctx, half, func(_, other lab.Member) bool {
			return other.Name() != order[0].Name() && !contains(half, other)
		}, s.Members)
	}
	ring := shuffled(rng, s.Members)
	if len(ring) < 4 {
		return nil, fmt.Errorf("in a ring of %d members each sees all others; it needs 4 or more", len(ring))
	}
	at := func(m lab.Member) int {
		return slices.IndexFunc(ring, func(o lab.Member) bool { return o.Name() == m.Name() })
	}
	return p.apart(ctx, ring, func(m, other lab.Member) bool {
		d := (at(m) - at(other) + len(ring)) % len(ring)
		return d > 1 && d < len(ring)-1
	}, ring)
}

// isolate cuts each off from everybody on that side.
func (p *partition) isolate(ctx context.Context, s *Scene, members []lab.Member) (links []link, err error) {
	for _, m := range members {
		r, err := s.towards(ctx, m, p.side, p.rule)
		if err != nil {
			return nil, err
		}
		from := map[string]string{sidePeer: names(s.others(m)), sideClient: "its clients", sideBoth: "everybody"}[p.side]
		links = append(links, link{m, []lab.NetRule{r}, p.say(from)})
	}
	return links, nil
}

// apart cuts members off from those that cut says.
func (p *partition) apart(ctx context.Context, members []lab.Member, cut func(m, other lab.Member) bool, all []lab.Member) (links []link, err error) {
	for _, m := range members {
		var away []lab.Member
		for _, o := range all {
			if o.Name() != m.Name() && cut(m, o) {
				away = append(away, o)
			}
		}
		if len(away) == 0 {
			continue
		}
		r := p.rule
		if r.Peers, err = addresses(ctx, away); err != nil {
			return nil, err
		}
		links = append(links, link{m, []lab.NetRule{r}, p.say(names(away))})
	}
	return links, nil
}

func (p *partition) say(from string) string {
	what := "cut off from " + from
	if p.rule.Direction != "" {
		what += ", " + p.rule.Direction + " only"
	}
	if p.rule.Action != lab.NetDrop {
		what += " (" + p.rule.Action + ")"
	}
	return what
}

// leaders are the members that say that they lead: one, or after an election that
// the old one has not heard of, two.
func (s *Scene) leaders(ctx context.Context) (all []lab.Member, err error) {
	name, err := s.Cluster.Leader(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range s.Members {
		leads := m.Name() == name
		if client := s.Cluster.Client(m.Name()); client != nil && !leads {
			ask, cancel := context.WithTimeout(ctx, s.slow(statusWithin))
			r, err := client.Status(ask, client.Endpoints()[0])
			cancel()
			leads = err == nil && r.Leader == r.Header.MemberId
		}
		if leads {
			all = append(all, m)
		}
	}
	return all, nil
}

func shuffled(rng *rand.Rand, members []lab.Member) []lab.Member {
	out := slices.Clone(members)
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func contains(members []lab.Member, m lab.Member) bool {
	return slices.ContainsFunc(members, func(o lab.Member) bool { return o.Name() == m.Name() })
}

package fault

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/internal/seed"
	"github.com/etcdlab/etcdlab/lab"
)

// Network puts rules on the links of members. They belong to one application of
// the fault, so that others can be under way beside it, and a heal of another
// process finds them.
type Network struct {
	name string
	// plan says what is done to which member.
	plan func(ctx context.Context, s *Scene, targets []lab.Member) ([]link, error)
	// within bounds the wait for packets that are hit.
	within time.Duration
}

// link is what is done to one member's.
type link struct {
	member lab.Member
	rules  []lab.NetRule
	what   string // "cut off from m2, m3"
}

// sides of a fault of the network.
const (
	sideBoth   = "both"
	sidePeer   = lab.NetPeer
	sideClient = lab.NetClient
)

// owner of the rules of one application.
func (f *Network) owner(s *Scene) string { return fmt.Sprintf("%s/%x", f.name, s.Seed) }

func (f *Network) Needs(m lab.Member) error { return needs[lab.NetShaper](m) }

// Apply sets the rules, and waits until each link had packets that they hit. On a
// quiet link of the clients the run's own client knocks.
func (f *Network) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	links, err := f.plan(ctx, s, targets)
	if err != nil {
		return Effect{}, err
	}
	var mu sync.Mutex
	var hit, quiet []string
	byName := map[string]link{}
	var members []lab.Member
	for _, l := range links {
		byName[l.member.Name()] = l
		members = append(members, l.member)
	}
	// All at once first: a member that is cut off later knows more than it should.
	err = each(members, func(m lab.Member) error {
		n, err := lab.Can[lab.NetShaper](m)
		if err != nil {
			return err
		}
		l := byName[m.Name()]
		s.event(history.EventFault, m.Name(), f.name+": "+l.what)
		return n.SetNetRules(ctx, f.owner(s), l.rules, seed.Of(s.Seed, m.Name()))
	})
	if err != nil {
		return Effect{}, err
	}
	err = each(members, func(m lab.Member) error {
		packets, err := f.hits(ctx, s, m)
		mu.Lock()
		defer mu.Unlock()
		l := byName[m.Name()]
		if packets == 0 {
			quiet = append(quiet, m.Name())
		} else {
			hit = append(hit, fmt.Sprintf("%s %s (packets hit when seen: %d)", m.Name(), l.what, packets))
		}
		return err
	})
	slices.Sort(hit)
	slices.Sort(quiet)
	if len(quiet) > 0 {
		hit = append(hit, fmt.Sprintf("no packet of %s was hit within %v", strings.Join(quiet, ", "), s.slow(f.within)))
	}
	return Effect{Observed: len(quiet) == 0 && len(links) > 0, Message: strings.Join(hit, "; ")}, err
}

// hits waits for the rules on a member's link to hit something.
func (f *Network) hits(ctx context.Context, s *Scene, m lab.Member) (packets uint64, err error) {
	n, err := lab.Can[lab.NetShaper](m)
	if err != nil {
		return 0, err
	}
	look := func(ctx context.Context) (bool, error) {
		states, err := n.NetRules(ctx)
		packets = 0
		for _, r := range states {
			if r.Owner == f.owner(s) {
				packets += r.Hit
			}
		}
		return packets > 0, err
	}
	if seen, err := until(ctx, s.slow(min(time.Second, f.within)), look); seen || err != nil {
		return packets, err
	}
	knock, stop := context.WithCancel(ctx)
	var knocking sync.WaitGroup
	knocking.Go(func() { s.knock(knock, m) })
	defer knocking.Wait()
	defer stop()
	_, err = until(ctx, s.slow(f.within), look)
	return packets, err
}

// knock asks a member for its status over and over, whatever comes of it.
func (s *Scene) knock(ctx context.Context, m lab.Member) {
	if s.Cluster == nil {
		return
	}
	client := s.Cluster.Client(m.Name())
	for client != nil && ctx.Err() == nil {
		ask, cancel := context.WithTimeout(ctx, s.slow(500*time.Millisecond))
		_, _ = client.Status(ask, client.Endpoints()[0])
		<-ask.Done()
		cancel()
	}
}

// Heal takes the rules off every link of the lab that has them, and sees that
// they are gone.
func (f *Network) Heal(ctx context.Context, s *Scene, _ []lab.Member) error {
	return each(s.Members, func(m lab.Member) error {
		n, err := lab.Can[lab.NetShaper](m)
		if err != nil {
			if _, lacks := errors.AsType[*lab.UnsupportedError](err); lacks {
				return nil // it cannot have any
			}
			return err
		}
		before, err := n.NetRules(ctx)
		if err != nil {
			return err
		}
		own := func(r lab.NetRuleState) bool { return r.Owner == f.owner(s) }
		var packets, hit uint64
		for _, r := range before {
			if own(r) {
				packets += r.Packets
				hit += r.Hit
			}
		}
		if !slices.ContainsFunc(before, own) {
			return nil
		}
		if err := n.SetNetRules(ctx, f.owner(s), nil, 0); err != nil {
			return err
		}
		after, err := n.NetRules(ctx)
		if err == nil && slices.ContainsFunc(after, own) {
			err = fmt.Errorf("%s: its link still has the rules (etcdlab up takes all off)", f.name)
		}
		if err == nil {
			s.event(history.EventHealed, m.Name(), fmt.Sprintf("%s: its link is as it was, after %d of %d packets were hit", f.name, hit, packets))
		}
		return err
	})
}

// addresses of members on the lab's network, in their order.
func addresses(ctx context.Context, members []lab.Member) (all []netip.Addr, err error) {
	for _, m := range members {
		info, err := m.Info(ctx)
		if err != nil {
			return nil, err
		}
		u, err := url.Parse(info.PeerURL)
		if err != nil {
			return nil, fmt.Errorf("read the address of %s: %w", m.Name(), err)
		}
		a, err := netip.ParseAddr(u.Hostname())
		if err != nil {
			return nil, fmt.Errorf("read the address of %s from %s: %w", m.Name(), info.PeerURL, err)
		}
		all = append(all, a)
	}
	return all, nil
}

// others are the lab's members without one.
func (s *Scene) others(m lab.Member) (rest []lab.Member) {
	for _, o := range s.Members {
		if o.Name() != m.Name() {
			rest = append(rest, o)
		}
	}
	return rest
}

func names(members []lab.Member) string {
	var all []string
	for _, m := range members {
		all = append(all, m.Name())
	}
	return strings.Join(all, ", ")
}

// towards makes a rule be about what a member and its peers, its clients, or both
// say to each other. What is said between members is so whatever the port.
func (s *Scene) towards(ctx context.Context, m lab.Member, side string, r lab.NetRule) (lab.NetRule, error) {
	var err error
	switch side {
	case sidePeer:
		r.Peers, err = addresses(ctx, s.others(m))
		if err == nil && len(r.Peers) == 0 {
			err = errors.New("a lab of one member has no network between members; use side client")
		}
	case sideClient:
		r.Side = lab.NetClient
	}
	return r, err
}

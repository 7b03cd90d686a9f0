package fault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

// netFake is a member's link: every rule is hit unless it is quiet.
type netFake struct {
	rules []lab.NetRuleState
	quiet bool
	stuck bool // its rules do not go
}

// peerURL is that of member mN.
func (*netFake) peerURL(name string) string {
	return "http://198.18.0.1" + strings.TrimPrefix(name, "m") + ":2380"
}

func (m *member) SetNetRules(_ context.Context, owner string, rules []lab.NetRule, _ uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.net.stuck && len(rules) == 0 {
		return nil
	}
	m.net.rules = slices.DeleteFunc(m.net.rules, func(r lab.NetRuleState) bool { return r.Owner == owner })
	for _, r := range rules {
		m.net.rules = append(m.net.rules, lab.NetRuleState{Owner: owner, NetRule: r})
	}
	return lab.CheckNetRules(owner, rules)
}

func (m *member) NetRules(context.Context) ([]lab.NetRuleState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.net.rules {
		if !m.net.quiet {
			m.net.rules[i].Hit++
			m.net.rules[i].Packets++
		}
	}
	return slices.Clone(m.net.rules), nil
}

// led is a cluster that one member leads.
type led string

func (l led) Leader(context.Context) (string, error) { return string(l), nil }
func (led) Client(string) *clientv3.Client           { return nil }
func (led) Learn(context.Context) error              { return nil }

// netScene is a lab of n members that m1 leads.
func netScene(n int, seed uint64) (*Scene, []*member, *recorder) {
	r := &recorder{}
	s := &Scene{Round: 1, Seed: seed, Record: r.record, Cluster: led("m1")}
	var all []*member
	for i := range n {
		m := newMember(fmt.Sprintf("m%d", i+1))
		all = append(all, m)
		s.Members = append(s.Members, m)
	}
	return s, all, r
}

// cuts are the pairs that a member's rules keep apart, by their numbers: "1-2".
func cuts(all []*member) (pairs []string) {
	for _, m := range all {
		for _, r := range m.net.rules {
			for _, p := range r.Peers {
				a, b := m.name[1:], p.String()[len("198.18.0.1"):]
				if pair := min(a, b) + "-" + max(a, b); !slices.Contains(pairs, pair) {
					pairs = append(pairs, pair)
				}
			}
		}
	}
	slices.Sort(pairs)
	return pairs
}

func TestPartitions(t *testing.T) {
	for _, c := range []struct {
		with    map[string]string
		members int
		targets []int // none is all
		want    []string
		many    int // pairs, where they are drawn
	}{
		{nil, 3, []int{1}, []string{"1-2", "2-3"}, 0},
		{nil, 3, nil, []string{"1-2", "1-3", "2-3"}, 0},
		{map[string]string{"shape": "halves"}, 5, []int{0, 1}, []string{"1-3", "1-4", "1-5", "2-3", "2-4", "2-5"}, 0},
		{map[string]string{"shape": "halves"}, 5, nil, nil, 6},
		{map[string]string{"shape": "bridge"}, 5, nil, nil, 4},
		{map[string]string{"shape": "bridge"}, 3, nil, nil, 1},
		{map[string]string{"shape": "ring"}, 5, nil, nil, 5},
		{map[string]string{"shape": "ring"}, 4, nil, nil, 2},
		{map[string]string{"shape": "primaries"}, 3, nil, []string{"1-2", "1-3"}, 0},
	} {
		f, err := Make(NamePartition, c.with)
		if err != nil {
			t.Fatal(err)
		}
		s, all, events := netScene(c.members, 5)
		targets := s.Members
		if c.targets != nil {
			targets = nil
			for _, i := range c.targets {
				targets = append(targets, s.Members[i])
			}
		}
		e, err := f.Apply(context.Background(), s, targets)
		got := cuts(all)
		if err != nil || !e.Observed || c.want != nil && !slices.Equal(got, c.want) || c.many != 0 && len(got) != c.many {
			t.Errorf("%v of %d: %v cut, %+v %v", c.with, c.members, got, e, err)
		}
		for _, m := range all {
			if has := len(m.net.rules) > 0; has != events.has(history.EventFault, m.name) {
				t.Errorf("%v: %s has rules (%v) and the record does not say so, or the reverse", c.with, m.name, has)
			}
		}
		// Another process heals, twice, what this one did.
		again, _ := Make(NamePartition, c.with)
		for range 2 {
			if err := again.Heal(context.Background(), s, targets); err != nil {
				t.Error(err)
			}
		}
		for _, m := range all {
			if len(m.net.rules) != 0 {
				t.Errorf("%v: %s still has %+v", c.with, m.name, m.net.rules)
			}
			if events.has(history.EventFault, m.name) != events.has(history.EventHealed, m.name) {
				t.Errorf("%v: the record does not say that %s was healed", c.with, m.name)
			}
		}
	}
}

func TestRulesOfEachFault(t *testing.T) {
	for _, c := range []struct {
		name string
		with map[string]string
		want string // of the rule on m1, as JSON would have it
	}{
		{NamePartition, map[string]string{"side": "both"}, "drop"},
		{NamePartition, map[string]string{"side": "client", "how": "reject"}, "reject client"},
		{NamePartition, map[string]string{"direction": "in", "how": "unreachable"}, "unreachable in [198.18.0.12 198.18.0.13]"},
		{NameSlowNetwork, nil, "shape [198.18.0.12 198.18.0.13] delay 75ms jitter 50ms"},
		{NameSlowNetwork, map[string]string{"jitter": "0s", "side": "both"}, "shape delay 75ms"},
		{NameLossyNetwork, map[string]string{"loss": "0", "duplicate": "5%", "reorder": "1", "side": "client"}, "shape client duplicate 0.05 reorder 0.01"},
		{NameRateLimit, map[string]string{"rate": "1MiB", "side": "both"}, "shape rate 1048576"},
		{NameResetConnections, map[string]string{"side": "client"}, "reset client"},
	} {
		f, err := Make(c.name, c.with)
		if err != nil {
			t.Errorf("%s %v: %v", c.name, c.with, err)
			continue
		}
		s, all, _ := netScene(3, 1)
		if e, err := f.Apply(context.Background(), s, s.Members[:1]); err != nil || !e.Observed {
			t.Errorf("%s: %+v %v", c.name, e, err)
		}
		if got := describe(all[0].net.rules[0].NetRule); got != c.want {
			t.Errorf("%s %v:\n%s, want\n%s", c.name, c.with, got, c.want)
		}
		if len(all[1].net.rules) != 0 {
			t.Errorf("%s: m2 has rules, too", c.name)
		}
	}
}

func describe(r lab.NetRule) string {
	words := []string{r.Action}
	add := func(is bool, format string, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(r.Side != "", "%s", r.Side)
	add(r.Direction != "", "%s", r.Direction)
	add(len(r.Peers) > 0, "%v", r.Peers)
	add(r.Loss > 0, "loss %v", r.Loss)
	add(r.Duplicate > 0, "duplicate %v", r.Duplicate)
	add(r.Reorder > 0, "reorder %v", r.Reorder)
	add(r.Delay > 0, "delay %v", r.Delay)
	add(r.Jitter > 0, "jitter %v", r.Jitter)
	add(r.Rate > 0, "rate %v", r.Rate)
	return strings.Join(words, " ")
}

func TestNetworkFaultsThatCannotBe(t *testing.T) {
	for want, c := range map[string]struct {
		name string
		with map[string]string
	}{
		"is between members: side client":  {NamePartition, map[string]string{"shape": "ring", "side": "client"}},
		"nothing would happen":             {NameLossyNetwork, map[string]string{"loss": "0"}},
		"jitter must not be more than":     {NameSlowNetwork, map[string]string{"delay": "1ms"}},
		"delay and jitter must be 0 to":    {NameSlowNetwork, map[string]string{"delay": "1h"}},
		"rate must be at least":            {NameRateLimit, map[string]string{"rate": "1"}},
		`it cannot be "lost"`:              {NamePartition, map[string]string{"how": "lost"}},
		"is not a duration, such as 0s or": {NameSlowNetwork, map[string]string{"jitter": "much"}},
	} {
		if _, err := Make(c.name, c.with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %v: %v, want %s", c.name, c.with, err, want)
		}
	}
	for want, shape := range map[string]string{"needs 4 or more": "ring", "needs 3 members": "bridge"} {
		f, err := Make(NamePartition, map[string]string{"shape": shape})
		if err != nil {
			t.Fatal(err)
		}
		s, _, _ := netScene(2, 1)
		if _, err := f.Apply(context.Background(), s, s.Members); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s of 2: %v", shape, err)
		}
	}
	f, _ := Make(NameSlowNetwork, nil)
	s, _, _ := netScene(1, 1)
	if _, err := f.Apply(context.Background(), s, s.Members); err == nil {
		t.Error("the network between the members of a lab of one is slow")
	}
}

func TestQuietLinkIsNotObserved(t *testing.T) {
	s, all, _ := netScene(3, 1)
	all[1].net.quiet = true
	ctx, cancel := context.WithCancel(context.Background())
	f, _ := Make(NamePartition, nil)
	f.(*Network).within = 20 * time.Millisecond
	defer cancel()
	e, err := f.Apply(ctx, s, s.Members[:2])
	if err != nil || e.Observed || !strings.Contains(e.Message, "no packet of m2") || !strings.Contains(e.Message, "m1 cut off from m2, m3") {
		t.Errorf("%+v %v", e, err)
	}
	all[0].net.stuck = true
	if err := f.Heal(context.Background(), s, nil); err == nil || !strings.Contains(err.Error(), "m1") || !strings.Contains(err.Error(), "still has the rules") {
		t.Errorf("heal of a link that keeps its rules: %v", err)
	}
	if len(all[1].net.rules) != 0 {
		t.Error("the other link was not healed")
	}
}

// A fault takes only its own rules off.
func TestPartitionsOverlap(t *testing.T) {
	s, all, _ := netScene(3, 1)
	other := *s
	other.Seed = 2
	a, _ := Make(NamePartition, nil)
	b, _ := Make(NamePartition, nil)
	for f, s := range map[Fault]*Scene{a: s, b: &other} {
		if _, err := f.Apply(context.Background(), s, s.Members[:1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Heal(context.Background(), s, nil); err != nil || len(all[0].net.rules) != 1 {
		t.Errorf("%+v %v", all[0].net.rules, err)
	}
}

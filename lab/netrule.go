package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// What a rule's Action is.
const (
	NetDrop        = "drop"        // nothing of it arrives, and nobody is told
	NetReject      = "reject"      // refused at once: its sender gets a reset
	NetUnreachable = "unreachable" // its sender is told at once that there is no such host (ICMP)
	NetReset       = "reset"       // connections that are open are reset; new ones pass
	NetShape       = "shape"       // lost, doubled, delayed, reordered or slowed
)

// What a rule's Side and Direction are; "" is both.
const (
	NetPeer   = "peer"   // between members: port 2380 on either end
	NetClient = "client" // between the member and its clients: its port 2379
	NetIn     = "in"     // to the member
	NetOut    = "out"    // from the member
)

// NetRule is what a member's link does to some of its packets: the first rule
// of an owner that matches a packet decides about it, and one that none matches
// passes.
// Failpoints and what the controller says to the agent are never touched.
type NetRule struct {
	// Peers are the other ends, by their addresses on the lab's network; none
	// is all, clients too.
	Peers     []netip.Addr `json:"peers,omitempty"`
	Side      string       `json:"side,omitempty"`
	Direction string       `json:"direction,omitempty"`
	Action    string       `json:"action"`

	// Of shape. What is not lost is delayed by Delay plus or minus as much as
	// Jitter, in order, and then passed on at Rate bytes a second. A packet to
	// be reordered is held back for as long again.
	Loss      float64       `json:"loss,omitempty"` // probability, 0 to 1
	Duplicate float64       `json:"duplicate,omitempty"`
	Reorder   float64       `json:"reorder,omitempty"`
	Delay     time.Duration `json:"delay,omitempty"`
	Jitter    time.Duration `json:"jitter,omitempty"`
	Rate      int64         `json:"rate,omitempty"` // bytes a second and direction; 0 is no bound
}

// Bounds of a rule.
const (
	MaxNetRules = 64 // of an owner
	maxNetOwner = 64 // bytes
	maxNetDelay = time.Minute
	minNetRate  = 1 << 10
)

// Check says what is wrong with a rule.
func (r *NetRule) Check() error {
	shaped := r.Loss != 0 || r.Duplicate != 0 || r.Reorder != 0 || r.Delay != 0 || r.Jitter != 0 || r.Rate != 0
	switch {
	case !slices.Contains([]string{"", NetPeer, NetClient}, r.Side):
		return fmt.Errorf("side %q is neither peer nor client", r.Side)
	case !slices.Contains([]string{"", NetIn, NetOut}, r.Direction):
		return fmt.Errorf("direction %q is neither in nor out", r.Direction)
	case !slices.Contains([]string{NetDrop, NetReject, NetUnreachable, NetReset, NetShape}, r.Action):
		return fmt.Errorf("action %q is not one of drop, reject, unreachable, reset, shape", r.Action)
	case shaped != (r.Action == NetShape):
		return errors.New("a rule has the action shape if, and only if, it says what that is: loss, duplicate, reorder, delay, jitter, rate")
	case r.Delay < 0 || r.Delay > maxNetDelay || r.Jitter < 0 || r.Jitter > maxNetDelay:
		return fmt.Errorf("delay and jitter must be 0 to %v", maxNetDelay)
	case r.Jitter > 0 && r.Delay < r.Jitter:
		return errors.New("jitter must not be more than the delay that it changes")
	case r.Rate != 0 && r.Rate < minNetRate:
		return fmt.Errorf("rate must be at least %d bytes a second", minNetRate)
	}
	for _, p := range []float64{r.Loss, r.Duplicate, r.Reorder} {
		if !(p >= 0 && p <= 1) { // NaN is neither
			return errors.New("loss, duplicate and reorder are probabilities, 0 to 1")
		}
	}
	for _, p := range r.Peers {
		if !p.Is4() {
			return fmt.Errorf("peer %v is no IPv4 address", p)
		}
	}
	return nil
}

// CheckNetRules says what is wrong with an owner's rules.
func CheckNetRules(owner string, rules []NetRule) error {
	if len(owner) > maxNetOwner {
		return fmt.Errorf("an owner's name of %d bytes is longer than %d", len(owner), maxNetOwner)
	}
	if len(rules) > MaxNetRules {
		return fmt.Errorf("%d rules are more than %d", len(rules), MaxNetRules)
	}
	for i := range rules {
		if err := rules[i].Check(); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return nil
}

// NetRuleState is a rule with what it did since it was set.
type NetRuleState struct {
	Owner string `json:"owner,omitempty"`
	NetRule
	Packets uint64 `json:"packets"` // that it decided about
	Hit     uint64 `json:"hit"`     // of those, not passed on as if there were no rule
}

// NetShaper makes a member's link lose, delay or refuse packets.
type NetShaper interface {
	// SetNetRules replaces the rules of an owner; none heals what it did. Several
	// may have rules at once: a packet that one drops is dropped, and delays add
	// up. Owner "" replaces, or heals, those of all. What is random comes from
	// the seed.
	SetNetRules(ctx context.Context, owner string, rules []NetRule, seed uint64) error
	// NetRules gives the rules with what each did.
	NetRules(ctx context.Context) ([]NetRuleState, error)
}

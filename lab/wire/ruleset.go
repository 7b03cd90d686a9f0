package wire

import (
	"slices"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// ruleSet is the rules of all owners, in the order that they came in. Those that
// stay when another's change keep what they have counted.
type ruleSet []*rule

// set replaces the rules of an owner, "" of all.
func (s *ruleSet) set(owner string, rules []lab.NetRule, seed uint64) {
	next := slices.DeleteFunc(slices.Clone(*s), func(r *rule) bool { return owner == "" || r.owner == owner })
	for i := range rules {
		next = append(next, newRule(owner, rules[i], seed, i))
	}
	*s = next
}

func (s ruleSet) states() []lab.NetRuleState {
	out := make([]lab.NetRuleState, len(s))
	for i, r := range s {
		out[i] = lab.NetRuleState{Owner: r.owner, NetRule: r.NetRule, Packets: r.packets, Hit: r.hit}
	}
	return out
}

// match gives each owner's first rule that is about something.
func (s ruleSet) match(about func(*rule) bool) (all []*rule) {
	for _, r := range s {
		if about(r) && !slices.ContainsFunc(all, func(other *rule) bool { return other.owner == r.owner }) {
			all = append(all, r)
		}
	}
	return all
}

// judge puts rules of several owners together: one that lets nothing pass has the
// first word, delays add up.
func judge(rules []*rule, now time.Time, by func(*rule, time.Time) verdict) verdict {
	for _, r := range rules {
		if r.Action == lab.NetShape {
			continue
		}
		v := by(r, now)
		r.count(v)
		if len(v.at) == 0 {
			return v
		}
	}
	all := verdict{at: []time.Time{now}}
	for _, r := range rules {
		if r.Action != lab.NetShape || len(all.at) == 0 {
			continue
		}
		var next []time.Time
		for _, at := range all.at {
			v := by(r, at)
			r.count(v)
			next = append(next, v.at...)
		}
		all.at = next
	}
	return all
}

func (r *rule) count(v verdict) {
	r.packets++
	if v.hit {
		r.hit++
	}
}

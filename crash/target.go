package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/etcdlab/etcdlab/lab"
)

// Targets that are not a member's name.
const (
	TargetLeader    = "leader"
	TargetFollowers = "followers"
	TargetQuorum    = "quorum" // a majority, drawn at random
	TargetAll       = "all"
	TargetRandom    = "random" // one member
)

var targets = []string{TargetLeader, TargetFollowers, TargetQuorum, TargetAll, TargetRandom}

// CheckTarget says whether a lab of these members has such a target; "" is all.
func CheckTarget(target string, members []string) error {
	switch {
	case target == "" || slices.Contains(members, target):
		return nil
	case !slices.Contains(targets, target):
		return fmt.Errorf("unknown target %q; the targets are %v and the members %v", target, targets, members)
	case target == TargetFollowers && len(members) == 1:
		return errors.New("a lab of one member has no followers; target leader, random or all")
	}
	return nil
}

// pick resolves a target to members, in order of name.
func (c *cluster) pick(ctx context.Context, target string, r *rand.Rand) ([]lab.Member, error) {
	all := c.lab.Members
	keep := func(want func(name string) bool) []lab.Member {
		return slices.DeleteFunc(slices.Clone(all), func(m lab.Member) bool { return !want(m.Name()) })
	}
	switch target {
	case TargetAll:
		return slices.Clone(all), nil
	case TargetRandom:
		return []lab.Member{all[r.IntN(len(all))]}, nil
	case TargetQuorum:
		chosen := map[string]bool{}
		for _, i := range r.Perm(len(all))[:len(all)/2+1] {
			chosen[all[i].Name()] = true
		}
		return keep(func(n string) bool { return chosen[n] }), nil
	case TargetLeader, TargetFollowers:
		leader, err := c.Leader(ctx)
		if err != nil {
			return nil, err
		}
		return keep(func(n string) bool { return (n == leader) == (target == TargetLeader) }), nil
	}
	return keep(func(n string) bool { return n == target }), nil
}

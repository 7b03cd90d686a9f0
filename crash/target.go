package crash

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/lab"
)

// pick resolves a target to members, in order of name.
func (c *cluster) pick(ctx context.Context, target string, r *rand.Rand) ([]lab.Member, error) {
	all := c.lab.Members
	keep := func(want func(name string) bool) []lab.Member {
		return slices.DeleteFunc(slices.Clone(all), func(m lab.Member) bool { return !want(m.Name()) })
	}
	some := func(n int) []lab.Member {
		chosen := map[string]bool{}
		for _, i := range r.Perm(len(all))[:n] {
			chosen[all[i].Name()] = true
		}
		return keep(func(n string) bool { return chosen[n] })
	}
	switch target {
	case schedule.All, "":
		return slices.Clone(all), nil
	case schedule.Random:
		return []lab.Member{all[r.IntN(len(all))]}, nil
	case schedule.Quorum:
		return some(len(all)/2 + 1), nil
	case schedule.Minority:
		return some((len(all) - 1) / 2), nil
	case schedule.Leader, schedule.Follower, schedule.Followers:
		leader, err := c.Leader(ctx)
		if err != nil {
			return nil, err
		}
		found := keep(func(n string) bool { return (n == leader) == (target == schedule.Leader) })
		if target == schedule.Follower {
			found = []lab.Member{found[r.IntN(len(found))]}
		}
		return found, nil
	}
	return keep(func(n string) bool { return n == target }), nil
}

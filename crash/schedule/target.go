package schedule

import (
	"errors"
	"fmt"
	"slices"

	"github.com/etcdlab/etcdlab/lab/spec"
)

// Targets that are not a member's name.
const (
	Leader    = "leader"
	Follower  = "follower"  // one, drawn at random
	Followers = "followers" // all of them
	Minority  = "minority"  // as many as may fail, drawn at random
	Quorum    = "quorum"    // a majority, drawn at random
	All       = "all"
	Random    = "random" // one member
)

var targets = []string{Leader, Follower, Followers, Minority, Quorum, All, Random}

// target is a step's, All if it says none.
func target(s *spec.Step) string {
	if s.Target == "" {
		return All
	}
	return s.Target
}

// CheckTarget says whether a lab of these members has such a target; "" is all.
func CheckTarget(target string, members []string) error {
	switch {
	case target == "" || slices.Contains(members, target):
		return nil
	case !slices.Contains(targets, target):
		return fmt.Errorf("unknown target %q%s", target, spec.DidYouMean(target, append(slices.Clone(targets), members...)))
	case (target == Followers || target == Follower) && len(members) == 1:
		return errors.New("a lab of one member has no followers; target leader, random or all")
	case target == Minority && len(members) < 3:
		return fmt.Errorf("a lab of %d has no minority that may fail; target leader, random or all", len(members))
	}
	return nil
}

// size is how many members a target is in a lab of n.
func size(target string, n int) int {
	switch target {
	case All, "":
		return n
	case Followers:
		return n - 1
	case Quorum:
		return n/2 + 1
	case Minority:
		return (n - 1) / 2
	}
	return 1
}

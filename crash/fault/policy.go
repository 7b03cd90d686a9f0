package fault

import (
	"fmt"
	"slices"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/internal/seed"
)

// Policy is a cut policy of the disk, or Mixed.
type Policy string

// Mixed draws one of the policies that lose something for each disk of each
// round.
const Mixed Policy = "mixed"

// ParsePolicy accepts the disk's policies and "mixed"; "" is mixed.
func ParsePolicy(s string) (Policy, error) {
	if s == "" || s == string(Mixed) {
		return Mixed, nil
	}
	if slices.Contains(disk.Policies, disk.Policy(s)) {
		return Policy(s), nil
	}
	return "", fmt.Errorf("unknown cut policy %q; the policies are %v and %s", s, disk.Policies, Mixed)
}

// Policies are what ParsePolicy accepts.
func Policies() []string {
	words := []string{string(Mixed)}
	for _, p := range disk.Policies {
		words = append(words, string(p))
	}
	return words
}

// of draws a disk's policy and seed for one round: a pure function of both.
func (p Policy) of(roundSeed uint64, member string) (disk.Policy, uint64) {
	r := seed.Rand(roundSeed, "cut/"+member)
	drawn := []disk.Policy{disk.Drop, disk.Prefix, disk.Random, disk.Torn}[r.IntN(4)]
	if p != Mixed && p != "" {
		drawn = disk.Policy(p)
	}
	return drawn, r.Uint64()
}

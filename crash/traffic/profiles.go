package traffic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// profiles are the built-in ones; the first is the default.
var profiles = []Profile{
	{
		Name: "default",
		// It leans on writes: it is they that a power cut can lose.
		Doc: "puts, gets, deletes and small transactions on a few keys, mostly writes",
		Mix: map[string]int{
			"put": 55, "get": 12, "stale-get": 3, "range": 3, "stale-range": 1, "delete": 5, "compare-swap": 15, "multi-put": 6,
		},
		PerMember: 5,
	},
	{
		Name:      "puts",
		Doc:       "puts alone, which throughput is measured with",
		Mix:       map[string]int{"put": 1},
		PerMember: 5,
		Keys:      1000,
	},
	{
		Name: "everything",
		Doc:  "every operation there is but those of auth, watchers of every kind, compaction, hashes, defragmentation and snapshots",
		Mix: map[string]int{
			"put": 220, "put-prev": 20, "put-lease": 30, "delete": 50, "delete-prev": 10, "delete-range": 5,
			"get": 200, "stale-get": 120, "old-get": 40, "range": 50, "stale-range": 30, "old-range": 20, "prefix": 2,
			"keys-only": 10, "count-only": 10, "sorted": 20,
			"compare-swap": 100, "multi-put": 30, "txn": 60, "txn-nested": 30, "txn-read": 20, "replace": 20,
			"lease-grant": 10, "lease-keep-alive": 10, "lease-revoke": 5, "lease-ttl": 5, "lease-list": 1,
			"lock": 4, "election": 3, "leader": 5,
			"kube-create": 15, "kube-update": 30, "kube-delete": 10, "kube-get": 10, "kube-list": 2,
			"status": 2, "members": 2, "alarms": 2,
		},
		Clients: 8, PerMember: 12, Keys: 300,
		Sizes:    []Size{{128, 950}, {1 << 10, 40}, {32 << 10, 9}, {1 << 20, 1}},
		Watchers: 6, SlowWatchers: 2,
		CompactEvery: 2 * time.Second, HashEvery: 5 * time.Second, DefragEvery: time.Minute, SnapshotEvery: 30 * time.Second,
	},
	{
		Name: "kubernetes",
		Doc:  "what an API server does: create, compare-and-swap by mod revision, paginated lists, watches from a list's revision",
		Mix: map[string]int{
			"kube-create": 20, "kube-update": 60, "kube-delete": 15, "kube-get": 20, "kube-list": 5, "put-lease": 2, "lease-grant": 1, "lease-ttl": 1,
		},
		PerMember: 5, Watchers: 6, CompactEvery: 5 * time.Second, HashEvery: 5 * time.Second,
	},
	{
		Name: "leases",
		Doc:  "leases with short times to live that expire with their keys, are kept alive and revoked",
		Mix: map[string]int{
			"put-lease": 40, "put": 10, "get": 15, "stale-get": 5, "delete": 3, "compare-swap": 5, "lease-grant": 12, "lease-keep-alive": 10,
			"lease-revoke": 5, "lease-ttl": 10, "lease-list": 2,
		},
		PerMember: 5, LeaseTTLs: []int{1, 2, 2, 5}, Leases: 64,
	},
	{
		Name:      "locks",
		Doc:       "locks and elections of sessions that sometimes expire, writes guarded by the lock",
		Mix:       map[string]int{"lock": 10, "election": 5, "leader": 20, "put": 40, "get": 40, "delete": 5},
		PerMember: 6, Leases: 64,
	},
	{
		Name:      "watches",
		Doc:       "many watchers of every kind over steady writes, with compaction",
		Mix:       map[string]int{"put": 50, "delete": 10, "delete-range": 2, "multi-put": 15, "replace": 5, "compare-swap": 10, "get": 10},
		PerMember: 4, Watchers: 24, SlowWatchers: 6, CompactEvery: time.Second, HashEvery: 5 * time.Second,
	},
	{
		Name:      "compaction",
		Doc:       "compaction ten times a second, near the newest revision and at deletes, beside reads at old revisions",
		Mix:       map[string]int{"put": 40, "delete": 20, "delete-range": 3, "old-get": 15, "old-range": 10, "get": 10, "compare-swap": 10, "txn-read": 5},
		PerMember: 5, Watchers: 6, CompactEvery: 100 * time.Millisecond, CompactBehind: 50, HashEvery: 3 * time.Second,
	},
	{
		Name:      "auth",
		Doc:       "authentication on: users with and without permission on parts of the keys, roles that change; off again at the end",
		Mix:       map[string]int{"put": 40, "get": 20, "stale-get": 5, "range": 8, "delete": 8, "compare-swap": 12, "multi-put": 6, "delete-range": 2},
		PerMember: 5, Auth: true,
	},
	{
		Name:      "large-values",
		Doc:       "values of 32 KiB to 1 MiB on a few keys, compacted so that the store does not grow",
		Mix:       map[string]int{"put": 60, "get": 20, "stale-get": 5, "delete": 5, "compare-swap": 8, "multi-put": 2},
		PerMember: 2, Keys: 20,
		Sizes:        []Size{{128, 20}, {32 << 10, 60}, {256 << 10, 15}, {1 << 20, 5}},
		CompactEvery: 2 * time.Second, DefragEvery: 30 * time.Second,
	},
	{
		Name: "transactions",
		Doc:  "transactions of every shape: all compares, both branches, nested, reads inside writes, delete and put in one",
		Mix: map[string]int{
			"txn": 40, "txn-nested": 20, "txn-read": 10, "replace": 10, "compare-swap": 15, "multi-put": 10, "put": 10, "get": 5, "delete": 5,
		},
		PerMember: 5, Keys: 30,
	},
	{
		Name:      "compacted-reads",
		Doc:       "etcd issue #18667: transactions that read at a revision just compacted and put, beside frequent compaction",
		Mix:       map[string]int{"txn-old": 60, "put": 30, "get": 10},
		PerMember: 5, CompactEvery: 20 * time.Millisecond, CompactBehind: 5,
	},
	{
		Name:      "compacted-watches",
		Doc:       "etcd issues #18089 and #19179: watches from the revision just compacted, often that of a delete",
		Mix:       map[string]int{"put": 40, "delete": 40, "get": 20},
		PerMember: 4, Watchers: 12, CompactEvery: 300 * time.Millisecond, CompactDeletes: true,
		WatchFrom: map[string]int{"compaction": 1},
	},
	{
		Name:      "future-watches",
		Doc:       "etcd issue #20221: watches from revisions to come, asked for bookmarks",
		Mix:       map[string]int{"put": 60, "delete": 10, "get": 30},
		PerMember: 4, Watchers: 12,
		WatchFrom: map[string]int{"future": 1},
	},
	{
		Name:      "alarm-list",
		Doc:       "etcd pull request 14429: alarm lists by many clients, few puts; with a small snapshot-count a member killed then does not start",
		Mix:       map[string]int{"alarms": 995, "put": 5},
		PerMember: 8,
	},
}

// Profiles lists the built-in profiles; the first is the default.
func Profiles() []Profile {
	var all []Profile
	for _, p := range profiles {
		all = append(all, p.clone())
	}
	return all
}

// clone shares nothing with p: a scenario file is decoded over one.
func (p Profile) clone() Profile {
	p.Mix, p.WatchFrom, p.Sizes, p.LeaseTTLs = maps.Clone(p.Mix), maps.Clone(p.WatchFrom), slices.Clone(p.Sizes), slices.Clone(p.LeaseTTLs)
	return p
}

// Find returns a built-in profile by name; "" is the default.
func Find(name string) (Profile, error) {
	var names []string
	for _, p := range profiles {
		if p.Name == name || name == "" {
			return p.clone(), nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("unknown traffic %q; the profiles are %s", name, strings.Join(names, ", "))
}

package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

const checkMembers = "members"

// sharing is how one part of what raft replicates beside keys differs between
// two members; "" where it does not.
type sharing struct {
	name string
	diff func(a, b *member) string
}

var sharings = []sharing{
	{"leases", diffLeases},
	{"auth", diffAuth},
	{"membership", diffPeers},
	{"alarms", diffAlarms},
	{"cluster version", func(a, b *member) string {
		x, y := a.store.Report.Shared.ClusterVersion, b.store.Report.Shared.ClusterVersion
		if x == y {
			return ""
		}
		return fmt.Sprintf("%s is at cluster version %q and %s at %q", a.name, x, b.name, y)
	}},
}

// judgeMembers says whether members have equal what raft replicates beside keys:
// by their disks, and by the lists that they answered with. Two disks can only be
// compared at one raft entry; of two that differ at two entries nothing is known.
func (c *evidence) judgeMembers() Check {
	var f findings
	var d doubts
	var stores []*member
	for _, m := range c.cluster.members {
		if m.readable() {
			stores = append(stores, m)
		}
	}
	if len(c.cluster.members) < 2 {
		return Check{} // there is nothing to be equal to
	}
	if len(stores) < 2 {
		d = append(d, fmt.Sprintf("the stores of only %d of %d members can be read", len(stores), len(c.cluster.members)))
	}
	equal := make(map[*member]bool)
	var unequal []string
	for i, a := range stores {
		for _, b := range stores[i+1:] {
			differ := ""
			for _, s := range sharings {
				why := s.diff(a, b)
				if why == "" {
					continue
				}
				differ = s.name
				if at := a.applied(); at == b.applied() && at > 0 {
					f.add(rankLost, 0, func() Evidence {
						return Evidence{Message: fmt.Sprintf("after entry %d %s: %s", at, s.name+" differ", why), Member: b.name}
					})
				}
			}
			switch {
			case differ == "":
				equal[a], equal[b] = true, true
			case a.applied() == b.applied():
				equal[a], equal[b] = true, true // told
			default:
				unequal = append(unequal, fmt.Sprintf("%s of %s after entry %d and %s after entry %d", differ, a.name, a.applied(), b.name, b.applied()))
			}
		}
	}
	for _, m := range stores {
		if !equal[m] && len(unequal) > 0 {
			d = append(d, fmt.Sprintf("%s has no other member to be compared with at its entry: %s", m.name, strings.Join(unequal, ", ")))
			break
		}
	}
	lists := c.memberLists(&f, &d)
	right := fmt.Sprintf("leases, auth, membership, alarms and version are equal on the disks of %d members", len(stores))
	if lists > 0 {
		right += fmt.Sprintf(", and %d lists of members that were answered are the same", lists)
	}
	return settle(checkMembers, &f, d, fmt.Sprintf("%d differences between members", f.total), right)
}

// applied is the raft entry that the db is the state after.
func (m *member) applied() uint64 { return m.store.Report.DB.ConsistentIndex }

func diffLeases(a, b *member) string {
	x, y := &a.store.Report.Shared, &b.store.Report.Shared
	if x.LeaseCount == y.LeaseCount && x.LeaseDigest == y.LeaseDigest {
		return ""
	}
	ttl := make(map[int64]int64, len(x.Leases))
	for _, l := range x.Leases {
		ttl[l.ID] = l.TTL
	}
	for _, l := range y.Leases {
		was, ok := ttl[l.ID]
		switch {
		case !ok:
			return fmt.Sprintf("%s has %d leases and %s %d, of which lease %x is not on %s", a.name, x.LeaseCount, b.name, y.LeaseCount, l.ID, a.name)
		case was != l.TTL:
			return fmt.Sprintf("lease %x has a TTL of %d s on %s and %d s on %s", l.ID, was, a.name, l.TTL, b.name)
		}
		delete(ttl, l.ID)
	}
	lowest := int64(0)
	for id := range ttl {
		if lowest == 0 || id < lowest {
			lowest = id
		}
	}
	return fmt.Sprintf("%s has %d leases and %s %d, of which lease %x is not on %s", a.name, x.LeaseCount, b.name, y.LeaseCount, lowest, b.name)
}

func diffAuth(a, b *member) string {
	x, y := &a.store.Report.Shared.Auth, &b.store.Report.Shared.Auth
	switch {
	case x.Enabled != y.Enabled:
		return fmt.Sprintf("authentication is %s on %s and %s on %s", onOff(x.Enabled), a.name, onOff(y.Enabled), b.name)
	case x.Revision != y.Revision:
		return fmt.Sprintf("the auth revision is %d on %s and %d on %s", x.Revision, a.name, y.Revision, b.name)
	}
	if why := diffPrincipals("user", a.name, b.name, x.Users, y.Users); why != "" {
		return why
	}
	return diffPrincipals("role", a.name, b.name, x.Roles, y.Roles)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func diffPrincipals(what, a, b string, x, y []datadir.Principal) string {
	find := func(list []datadir.Principal, name string) *datadir.Principal {
		if i := slices.IndexFunc(list, func(p datadir.Principal) bool { return p.Name == name }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	for i := range x {
		switch p := find(y, x[i].Name); {
		case p == nil:
			return fmt.Sprintf("the %s %q of %s is not on %s", what, x[i].Name, a, b)
		case !slices.Equal(p.Roles, x[i].Roles):
			return fmt.Sprintf("the %s %q has the roles %v on %s and %v on %s", what, p.Name, x[i].Roles, a, p.Roles, b)
		case p.Digest != x[i].Digest:
			return fmt.Sprintf("the %s %q is stored with other bytes on %s than on %s", what, p.Name, a, b)
		}
	}
	for i := range y {
		if find(x, y[i].Name) == nil {
			return fmt.Sprintf("the %s %q of %s is not on %s", what, y[i].Name, b, a)
		}
	}
	return ""
}

func diffPeers(a, b *member) string {
	x, y := &a.store.Report.Shared, &b.store.Report.Shared
	if !slices.Equal(x.Removed, y.Removed) {
		return fmt.Sprintf("%s knows of %d members that were removed and %s of %d, or of others", a.name, len(x.Removed), b.name, len(y.Removed))
	}
	same := func(p, q datadir.Peer) bool {
		return p.ID == q.ID && p.Name == q.Name && p.Learner == q.Learner && slices.Equal(p.PeerURLs, q.PeerURLs)
	}
	if slices.EqualFunc(x.Members, y.Members, same) {
		return ""
	}
	return fmt.Sprintf("%s knows the members %s, and %s %s", a.name, peers(x.Members), b.name, peers(y.Members))
}

func peers(list []datadir.Peer) string {
	var s []string
	for _, p := range list {
		role := ""
		if p.Learner {
			role = " as a learner"
		}
		s = append(s, fmt.Sprintf("%x %s at %s%s", p.ID, p.Name, strings.Join(p.PeerURLs, ","), role))
	}
	return "[" + strings.Join(s, "; ") + "]"
}

func diffAlarms(a, b *member) string {
	x, y := a.store.Report.Shared.Alarms, b.store.Report.Shared.Alarms
	if slices.Equal(x, y) {
		return ""
	}
	return fmt.Sprintf("%s holds the alarms %s, and %s %s", a.name, alarms(x), b.name, alarms(y))
}

func alarms(list []datadir.Alarm) string {
	var s []string
	for _, x := range list {
		s = append(s, alarmName(x))
	}
	return "[" + strings.Join(s, "; ") + "]"
}

// memberLists compares the lists of members that were answered: etcd's are
// linearizable. What was answered before the run was through with changing the
// membership is not compared; if somebody else changed it, the disks show that.
func (c *evidence) memberLists(f *findings, d *doubts) (n int) {
	if c.ops == nil || c.ops.malformed != "" {
		return 0
	}
	var first *callOp
	changed := c.membersChanged()
	for i := range c.ops.calls {
		o := &c.ops.calls[i]
		if o.kind != history.KindMembers || !o.ok() || o.invoke < changed {
			continue
		}
		n++
		if first == nil {
			first = o
			continue
		}
		if slices.Equal(first.List, o.List) {
			continue
		}
		if c.membershipChanged() {
			*d = append(*d, "the membership changed during the run, which does not do that")
			return n
		}
		t := &teller{run: c.run}
		f.add(rankChanged, o.ret, func() Evidence {
			return Evidence{
				Message: fmt.Sprintf("%s answered the members %s at %s, and %s had answered %s at %s, though nobody changed the membership",
					c.ops.members[o.member], o.List, t.at(o.ret), c.ops.members[first.member], first.List, t.at(first.ret)),
				Operation: o.id, Client: o.client, Member: c.ops.members[o.member], Time: o.ret,
				Operations: []uint64{first.id, o.id},
			}
		})
	}
	return n
}

// membershipChanged says whether a disk knows of other members than the run.
func (c *evidence) membershipChanged() bool {
	for _, m := range c.cluster.members {
		if !m.readable() {
			continue
		}
		s := &m.store.Report.Shared
		if len(s.Removed) > 0 || len(s.Members) > 0 && len(s.Members) != len(c.run.Members) {
			return true
		}
		for _, p := range s.Members {
			if !slices.ContainsFunc(c.run.Members, func(r history.Member) bool { return r.ID == p.ID }) {
				return true
			}
		}
	}
	return false
}

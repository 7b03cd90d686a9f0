package verify

import (
	"fmt"
	"math"
	"slices"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// disks holds what the acknowledged changes make of users and roles against what
// the members' dbs hold at the end.
func (x *authCheck) disks(d *doubts) {
	if len(x.p.changes) == 0 {
		return
	}
	judged := 0
	for _, m := range x.c.cluster.members {
		if !m.readable() || !m.serving() || !m.whole() {
			continue
		}
		judged++
		x.disk(m, &m.store.Report.Shared.Auth)
	}
	if judged == 0 {
		*d = append(*d, "no member's db is known to hold all that it had applied, so whether users and roles were kept is not known")
	}
}

func (x *authCheck) disk(m *member, a *datadir.Auth) {
	const end = math.MaxInt64 - 1 // everything that returned is over
	wrong := func(format string, args ...any) {
		x.f.add(rankLost, 0, func() Evidence {
			return Evidence{Message: m.name + ": " + fmt.Sprintf(format, args...) + ", which is not what the acknowledged changes make", Member: m.name, Time: x.c.final.Time}
		})
	}
	if on, decided := x.p.enabled.values(end, end); decided && !on.may(bit(a.Enabled)) {
		wrong("authentication is %s on its disk", onOff(a.Enabled))
	}
	if least := x.leastRevision(); a.Revision < least {
		wrong("the auth revision on its disk is %d, and %d changes were acknowledged", a.Revision, least-1)
	}
	for _, list := range []struct {
		what string
		want map[string]*principal
		have []datadir.Principal
	}{{"user", x.p.users, a.Users}, {"role", x.p.roles, a.Roles}} {
		for _, name := range sortedNames(list.want) {
			p := list.want[name]
			at := slices.IndexFunc(list.have, func(h datadir.Principal) bool { return h.Name == name })
			exists, decided := p.exists.values(end, end)
			switch {
			case decided && at < 0 && exists.only(1):
				wrong("the %s %q is not on its disk", list.what, name)
			case decided && at >= 0 && exists.only(0):
				wrong("the %s %q is still on its disk", list.what, name)
			}
			if at < 0 {
				continue
			}
			for _, role := range sortedNames(p.has) {
				has, decided := p.has[role].values(end, end)
				got := slices.Contains(list.have[at].Roles, role)
				if decided && !has.may(bit(got)) {
					wrong("the user %q has the roles %v on its disk, and %s", name, list.have[at].Roles, map[bool]string{true: "not " + role + " by right", false: role + " by right"}[got])
				}
			}
		}
	}
}

// lists holds a list of all users against those that there must have been, and
// those that cannot: etcd answers it from what has gone through its log.
func (x *authCheck) lists(o *callOp, from, to int64) {
	if o.Method != "UserList" {
		return
	}
	for _, name := range sortedNames(x.p.users) {
		exists, decided := x.p.users[name].exists.values(from, to)
		if got := slices.Contains(o.List, name); decided && !exists.may(bit(got)) {
			x.wrongList(o, fmt.Sprintf("the users are %v, where %q is %s", o.List, name, byRight(got)))
		}
	}
}

// roles does the same with the roles of one user.
func (x *authCheck) roles(o *callOp, from, to int64) {
	u := x.p.users[o.Name]
	if u == nil {
		return
	}
	for _, role := range sortedNames(u.has) {
		has, decided := u.has[role].values(from, to)
		if got := slices.Contains(o.List, role); decided && !has.may(bit(got)) {
			x.wrongList(o, fmt.Sprintf("the roles of the user %q are %v, where %q is %s", o.Name, o.List, role, byRight(got)))
		}
	}
}

func byRight(got bool) string {
	if got {
		return "by right none"
	}
	return "missing"
}

func (x *authCheck) wrongList(o *callOp, why string) {
	x.f.add(rankRead, o.rev, func() Evidence {
		return Evidence{
			Message:   fmt.Sprintf("%s answered at %s (operation %d of client %d) that %s", x.h.members[o.member], x.t.at(o.ret), o.id, o.client, why),
			Operation: o.id, Client: o.client, Member: x.h.members[o.member], Time: o.ret,
		}
	})
}

func sortedNames[V any](m map[string]V) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// leastRevision is what etcd's auth revision must have come to at least: it
// begins at 1, and each change adds one but those that change nothing, as the
// grant of a role that the user has, and but turning it on (etcd's auth store).
func (x *authCheck) leastRevision() uint64 {
	n := uint64(1)
	u := x.c.run.ClockUncertainty
	for _, i := range x.p.changes {
		c := &x.h.calls[i]
		if !c.ok() {
			continue
		}
		switch c.Method {
		case "AuthEnable":
		case "AuthDisable":
			if on, decided := x.p.enabled.values(c.invoke-u-1, c.invoke-u-1); decided && on.only(1) {
				n++
			}
		case "UserGrantRole":
			if has, decided := x.p.users[c.Name].has[c.Role].values(c.invoke-u-1, c.invoke-u-1); decided && has.only(0) {
				n++
			}
		default:
			n++
		}
	}
	return n
}

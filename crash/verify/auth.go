package verify

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

const checkAuth = "auth"

// authCheck holds what was done against who might do it.
type authCheck struct {
	c       *evidence
	h       *ops
	t       *teller
	p       *permissions
	f       findings
	horizon int64 // what returned later is not judged
	judged  int   // answers that were certain to be as they are
	open    int   // those beside a change, or after one that nobody knows of
	stale   int
}

// longest is how long a request that is missing from a history that ends early
// may have been on its way, in nanoseconds: clients give up before.
const longest = int64(60e9)

// judgeAuth says whether everybody was let do what they might, and nothing else.
func (c *evidence) judgeAuth(t *teller) Check {
	h := c.ops
	used := slices.ContainsFunc(h.calls, func(o callOp) bool { return o.kind == history.KindAuth })
	used = used || slices.ContainsFunc(h.users, func(name string) bool { return name != "" })
	if !used {
		return Check{}
	}
	u := c.run.ClockUncertainty
	x := &authCheck{c: c, h: h, t: t, p: newPermissions(h, u), horizon: math.MaxInt64}
	if h.truncated {
		last := int64(0)
		for i := range h.all {
			last = max(last, h.all[i].ret)
		}
		x.horizon = last - longest
	}
	for i := range h.all {
		if o := &h.all[i]; o.ret <= x.horizon && (o.is(isOK) || o.is(isFailed|denied)) {
			x.operation(o, o.invoke-u, o.ret+u)
		}
	}
	for i := range h.calls {
		if o := &h.calls[i]; o.ret <= x.horizon && (o.ok() || o.outcome == history.Failed && o.denied) {
			x.call(o, o.invoke-u, o.ret+u)
		}
	}
	var d doubts
	if h.truncated {
		d = append(d, "the history ends early: changes of users and roles may be missing from it")
	}
	if x.judged == 0 {
		d = append(d, fmt.Sprintf("no answer to anybody was certain: %d were given beside a change of the user's permissions or after one of unknown outcome, and one that was not is needed", x.open))
	}
	x.disks(&d)
	return settle(checkAuth, &x.f, d, fmt.Sprintf("%d findings against users and their permissions", x.f.total),
		fmt.Sprintf("%d answers let users do what they might and nothing else (%d more were given while permissions changed, and %d by members from what they had); %d changes of users and roles are on the members' disks",
			x.judged, x.open, x.stale, len(x.p.changes)))
}

// need is one permission that an operation needs.
type need struct {
	at   interval
	want uint8
}

// needs lists what etcd asks for before it runs an operation: of an answered
// transaction only the branch that ran is known.
func (x *authCheck) needs(o *op) (list []need) {
	name := x.h.keys.names
	compares := func(cs []compare) {
		for i := range cs {
			list = append(list, need{interval{name[cs[i].key], name[cs[i].end]}, mayRead})
		}
	}
	var requests func(reqs []request)
	requests = func(reqs []request) {
		for i := range reqs {
			q := &reqs[i]
			if q.verb == history.Txn {
				n := &x.h.nested[q.txn]
				compares(x.h.cmps[n.cmps : n.cmps+uint32(n.nCmp)])
				requests(x.h.reqs[n.reqs : n.reqs+uint32(n.nThen)+uint32(n.nElse)])
				continue
			}
			at := interval{name[q.key], name[q.end]}
			if q.verb == history.Range || q.flags&wantsPrev != 0 {
				list = append(list, need{at, mayRead})
			}
			if q.verb != history.Range {
				list = append(list, need{at, mayWrite})
			}
		}
	}
	compares(x.h.compares(o))
	requests(x.h.reqs[o.reqs : o.reqs+uint32(o.nThen)+uint32(o.nElse)])
	return list
}

// operation judges one of the KV service. A member that lags lets users do what
// they might before: what it answers from its own state is not judged.
func (x *authCheck) operation(o *op, from, to int64) {
	lags := o.is(isOK | serializable)
	leased, reads := false, true
	x.h.each(o, func(q *request) {
		leased = leased || q.lease != 0
		reads = reads && q.verb == history.Range && q.flags&stale != 0
	})
	if lags || o.is(denied) && reads {
		x.stale++
		return
	}
	user := x.h.users[o.user]
	must := true
	for _, n := range x.needs(o) {
		if n.at.end != "" && n.at.end != "\x00" && n.at.end <= n.at.key {
			must = false
			continue // no interval: what etcd's tree makes of it is its own affair
		}
		may, sure := x.p.access(user, n.at, n.want, from, to)
		must = must && sure
		if may {
			continue
		}
		if o.is(isOK) {
			x.f.add(rankLost, o.rev, func() Evidence {
				return x.story(x.t.evidence(o, fmt.Sprintf("%s was let do by %s what %s might not: %s %s%s",
					x.t.describe(o), x.h.members[o.member], userName(user), accessVerb(n.want), tellInterval(n.at, x.t.run.Prefix), x.since(user, from))), user, from)
			})
			return
		}
		x.judged++ // rightly denied
		return
	}
	switch {
	case !must || o.is(denied) && leased: // others' keys of the lease count too
		x.open++
	case o.is(denied):
		x.f.add(rankOrder, 0, func() Evidence {
			return x.story(x.t.evidence(o, fmt.Sprintf("%s was denied to %s, who had all the permissions that it needs%s",
				strings.TrimSuffix(x.t.describe(o), ","), userName(user), x.since(user, from))), user, from)
		})
	default:
		x.judged++
	}
}

// call judges a request to the auth service, which root alone may make, and the
// keys that locks and elections write.
func (x *authCheck) call(o *callOp, from, to int64) {
	user := x.h.users[o.user]
	var may, must bool
	what := ""
	switch o.kind {
	case history.KindAuth:
		if !changesAuth(o.Method) && o.Method != "UserList" && o.Method != "RoleList" {
			if o.ok() && o.Method == "UserGet" {
				x.roles(o, from, to)
			}
			return // everybody may ask for their own
		}
		may, must = x.p.rooted(user, from, to)
		what = o.Method
	case history.KindLock, history.KindCampaign, history.KindProclaim:
		if !o.ok() || o.Call.Key == "" {
			return // a denial may be of any of the requests that it is made of
		}
		may, must = x.p.access(user, interval{key: o.Call.Key}, mayWrite, from, to)
		what = fmt.Sprintf("%s of %s", o.kind, o.Call.Key)
	default:
		return
	}
	if o.ok() {
		x.lists(o, from, to)
	}
	tell := func(format string) func() Evidence {
		return func() Evidence {
			return x.story(Evidence{
				Message:   fmt.Sprintf(format, fmt.Sprintf("%s (operation %d of client %d, asked of %s at %s)", what, o.id, o.client, x.h.members[o.member], x.t.at(o.invoke)), userName(user)) + x.since(user, from),
				Operation: o.id, Client: o.client, Member: x.h.members[o.member], Time: o.ret,
			}, user, from)
		}
	}
	switch {
	case o.ok() && !may:
		x.f.add(rankLost, o.rev, tell("%s was done for %s, who might not"))
	case !o.ok() && must:
		x.f.add(rankOrder, 0, tell("%s was denied to %s, who might"))
	case o.ok() && must || !o.ok() && !may:
		x.judged++
	default:
		x.open++
	}
}

func userName(user string) string {
	if user == "" {
		return "somebody who named no user"
	}
	return "the user " + user
}

func accessVerb(want uint8) string {
	if want == mayRead {
		return "read"
	}
	return "write"
}

func tellInterval(at interval, prefix string) string {
	short := func(key string) string {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			return "/etcdlab/../" + rest
		}
		return fmt.Sprintf("%q", key)
	}
	if at.end == "" {
		return short(at.key)
	}
	return "[" + short(at.key) + ", " + short(at.end) + ")"
}

// since tells of the last change before a time that a user's permissions hang on.
func (x *authCheck) since(user string, before int64) string {
	i := x.lastChange(user, before)
	if i < 0 {
		return ""
	}
	c := &x.h.calls[i]
	return fmt.Sprintf("; the last change of that was %s, acknowledged at %s", changeText(c, x.t.run.Prefix), x.t.at(c.ret))
}

func changeText(c *callOp, prefix string) string {
	s := c.Method
	if c.Name != "" {
		s += " of the user " + c.Name
	}
	if c.Role != "" {
		s += " with the role " + c.Role
	}
	if c.Permission != "" || c.Call.Key != "" {
		s += " on " + tellInterval(interval{c.Call.Key, c.Call.End}, prefix)
	}
	return s
}

func (x *authCheck) lastChange(user string, before int64) int {
	last := -1
	for _, i := range x.p.changes {
		c := &x.h.calls[i]
		if !c.ok() || c.ret >= before || last >= 0 && c.ret < x.h.calls[last].ret {
			continue
		}
		u := x.p.users[user]
		if c.Name == user || c.Name == "" && (c.Role == "" || u != nil && u.has[c.Role] != nil) {
			last = int(i)
		}
	}
	return last
}

// story names the operations that show it.
func (x *authCheck) story(e Evidence, user string, before int64) Evidence {
	if i := x.lastChange(user, before); i >= 0 {
		e.Operations = []uint64{x.h.calls[i].id, e.Operation}
	}
	return e
}

package verify

import (
	"math"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
)

// authRun is a run after which authentication is turned on, for root, for alice,
// who may do everything to [x, y), and for bob, who may do nothing.
type authRun struct {
	*mutant
	disk []diskRecord
	rev  uint64
}

func newAuthRun(t *testing.T, seed uint64) *authRun {
	a := &authRun{mutant: newMutant(t, seed), rev: 1}
	a.auth("", history.Call{Method: "UserAdd", Name: "root"})
	a.auth("", history.Call{Method: "UserGrantRole", Name: "root", Role: "root"})
	a.auth("", history.Call{Method: "AuthEnable"})
	a.rev--
	for _, name := range []string{"alice", "bob"} {
		a.auth("root", history.Call{Method: "UserAdd", Name: name})
	}
	a.auth("root", history.Call{Method: "RoleAdd", Role: "r"})
	a.auth("root", history.Call{Method: "RoleGrantPermission", Role: "r", Key: a.key("x"), End: a.key("y"), Permission: "READWRITE"})
	a.auth("root", history.Call{Method: "UserGrantRole", Name: "alice", Role: "r"})
	a.disk = []diskRecord{
		{where: "auth", what: map[string][]byte{"authEnabled": {1}}},
		{where: "authUsers", what: map[string][]byte{"root": message(1, "root", 3, "root"), "alice": message(1, "alice", 3, "r"), "bob": message(1, "bob")}},
		{where: "authRoles", what: map[string][]byte{"r": message(1, "r")}},
	}
	return a
}

// auth adds an acknowledged change.
func (a *authRun) auth(user string, call history.Call) *history.Op {
	op := a.asks("m1", history.KindAuth, "", call)
	op.User = user
	a.rev++
	return op
}

// write is an acknowledged put by a user.
func (a *authRun) write(user, key string) *history.Op {
	rev := a.head() + 1
	op := a.put(history.OK, rev, key)
	op.User = user
	a.store("", record(rev, 0, op.Then[0]))
	return op
}

func (a *authRun) reads(user, key, end string) *history.Op {
	op := a.get(a.head(), a.key(key))
	op.User = user
	if end != "" {
		op.Then[0].End = a.key(end)
	}
	return op
}

func (a *authRun) denied(op *history.Op) *history.Op {
	a.refuses(op, "etcdserver: permission denied")
	op.Denied = true
	return op
}

func (a *authRun) judge(t *testing.T) *Verdict {
	dir := write(t, a.Run)
	a.disk = append(a.disk, diskRecord{where: "auth", what: map[string][]byte{"authRevision": []byte(bigEndian(a.rev))}})
	plantAll(t, dir, a.mutant, a.disk)
	return judge(t, dir, nil)
}

var authMutants = map[string]func(a *authRun) want{
	"write without a permission": func(a *authRun) want {
		o := a.write("bob", "x")
		return want{check: "auth", op: o.ID, rev: o.Revision, text: "what the user bob might not: write /etcdlab/../x; the last change of that was UserAdd", only: true}
	},
	"write outside of a permission": func(a *authRun) want {
		o := a.write("alice", "z")
		return want{check: "auth", op: o.ID, text: "the user alice might not: write /etcdlab/../z", only: true}
	},
	"read beyond a permission": func(a *authRun) want {
		o := a.reads("alice", "x", "z")
		return want{check: "auth", op: o.ID, text: "might not: read [/etcdlab/../x, /etcdlab/../z)", only: true}
	},
	"write after the role was revoked": func(a *authRun) want {
		a.auth("root", history.Call{Method: "UserRevokeRole", Name: "alice", Role: "r"})
		a.disk = append(a.disk, diskRecord{where: "authUsers", what: map[string][]byte{"alice": message(1, "alice")}})
		o := a.write("alice", "x")
		return want{check: "auth", op: o.ID, text: "the last change of that was UserRevokeRole of the user alice with the role r", only: true}
	},
	"write after the permission was revoked": func(a *authRun) want {
		a.auth("root", history.Call{Method: "RoleRevokePermission", Role: "r", Key: a.key("x"), End: a.key("y")})
		o := a.write("alice", "x")
		return want{check: "auth", op: o.ID, text: "RoleRevokePermission with the role r on [/etcdlab/../x, /etcdlab/../y)", only: true}
	},
	"write after the role was deleted": func(a *authRun) want {
		a.auth("root", history.Call{Method: "RoleDelete", Role: "r"})
		a.disk = append(a.disk, diskRecord{where: "authUsers", what: map[string][]byte{"alice": message(1, "alice")}}, diskRecord{where: "authRoles", what: map[string][]byte{"r": nil}})
		o := a.write("alice", "x")
		return want{check: "auth", op: o.ID, text: "RoleDelete", only: true}
	},
	"write by a user who was deleted": func(a *authRun) want {
		a.auth("root", history.Call{Method: "UserDelete", Name: "alice"})
		a.disk = append(a.disk, diskRecord{where: "authUsers", what: map[string][]byte{"alice": nil}})
		o := a.write("alice", "x")
		return want{check: "auth", op: o.ID, text: "UserDelete of the user alice", only: true}
	},
	"read with a permission to write": func(a *authRun) want {
		a.auth("root", history.Call{Method: "RoleGrantPermission", Role: "r", Key: a.key("x"), End: a.key("y"), Permission: "WRITE"})
		o := a.reads("alice", "x", "")
		return want{check: "auth", op: o.ID, text: "might not: read /etcdlab/../x", only: true}
	},
	"compare without a permission to read": func(a *authRun) want {
		o := a.write("alice", "x")
		o.Kind, o.Succeeded = history.KindTxn, true
		o.Compares = []history.Compare{{Key: a.key("z"), Target: history.CompareVersion, Result: history.Equal}}
		return want{check: "auth", op: o.ID, text: "might not: read /etcdlab/../z", only: true}
	},
	"nested read without a permission": func(a *authRun) want {
		o := a.reads("alice", "x", "")
		o.Kind, o.Succeeded = history.KindTxn, true
		o.Then = []history.Request{{Verb: history.Txn, Txn: &history.Branches{Then: []history.Request{{Verb: history.Range, Key: a.key("z")}}}}}
		o.Results = []history.Result{{Succeeded: true, Results: []history.Result{{}}}}
		return want{check: "auth", op: o.ID, text: "might not: read /etcdlab/../z", only: true}
	},
	"somebody without a name": func(a *authRun) want {
		o := a.write("", "x")
		return want{check: "auth", op: o.ID, text: "somebody who named no user might not", only: true}
	},
	"denied what was permitted": func(a *authRun) want {
		o := a.denied(a.reads("alice", "x", "xz"))
		return want{check: "auth", op: o.ID, text: "was denied to the user alice, who had all the permissions", only: true}
	},
	"root denied": func(a *authRun) want {
		o := a.denied(a.reads("root", "a", "z"))
		return want{check: "auth", op: o.ID, text: "was denied to the user root", only: true}
	},
	"role given by one who is not root": func(a *authRun) want {
		o := a.auth("alice", history.Call{Method: "UserGrantRole", Name: "bob", Role: "r"})
		a.disk = append(a.disk, diskRecord{where: "authUsers", what: map[string][]byte{"bob": message(1, "bob", 3, "r")}})
		return want{check: "auth", op: o.ID, text: "was done for the user alice, who might not", only: true}
	},
	"change denied to root": func(a *authRun) want {
		o := a.auth("root", history.Call{Method: "UserAdd", Name: "carol"})
		a.rev--
		o.Outcome, o.Error, o.Revision, o.MemberID, o.Denied = history.Failed, "etcdserver: permission denied", 0, 0, true
		return want{check: "auth", op: o.ID, text: "was denied to the user root, who might", only: true}
	},
	"lock without a permission": func(a *authRun) want {
		o := a.asks("m1", history.KindLock, "", history.Call{Name: a.key("lock/a"), Key: a.key("lock/a/1")})
		o.User = "bob"
		return want{check: "auth", op: o.ID, text: "was done for the user bob"}
	},
	"user not listed": func(a *authRun) want {
		o := a.asks("m2", history.KindAuth, "", history.Call{Method: "UserList", List: []string{"alice", "root"}})
		o.User = "root"
		return want{check: "auth", op: o.ID, member: "m2", text: `the users are [alice root], where "bob" is missing`, only: true}
	},
	"role listed that was never given": func(a *authRun) want {
		a.auth("root", history.Call{Method: "UserRevokeRole", Name: "alice", Role: "r"})
		a.disk = append(a.disk, diskRecord{where: "authUsers", what: map[string][]byte{"alice": message(1, "alice")}})
		o := a.asks("m2", history.KindAuth, "", history.Call{Method: "UserGet", Name: "alice", List: []string{"r"}})
		o.User = "alice"
		return want{check: "auth", op: o.ID, member: "m2", text: `the roles of the user "alice" are [r], where "r" is by right none`, only: true}
	},
	"user lost": func(a *authRun) want {
		a.disk = append(a.disk, diskRecord{where: "authUsers", what: map[string][]byte{"bob": nil}})
		return want{check: "auth", member: "m2", text: `the user "bob" is not on its disk`, only: true}
	},
	"user back from the dead": func(a *authRun) want {
		a.auth("root", history.Call{Method: "UserDelete", Name: "bob"})
		return want{check: "auth", member: "m2", text: `the user "bob" is still on its disk`, only: true}
	},
	"role of a user lost": func(a *authRun) want {
		a.disk = append(a.disk, diskRecord{where: "authUsers", what: map[string][]byte{"alice": message(1, "alice")}})
		return want{check: "auth", member: "m1", text: `the user "alice" has the roles [] on its disk, and r by right`, only: true}
	},
	"authentication lost": func(a *authRun) want {
		a.disk = append(a.disk, diskRecord{where: "auth", what: map[string][]byte{"authEnabled": {0}}})
		return want{check: "auth", member: "m1", text: "authentication is off on its disk", only: true}
	},
	"auth revision falls": func(a *authRun) want {
		a.rev--
		return want{check: "auth", member: "m1", text: "the auth revision on its disk is 7, and 7 changes were acknowledged", only: true}
	},
	"auth differs between members": func(a *authRun) want {
		a.disk = append(a.disk, diskRecord{on: "m2", where: "authRoles", what: map[string][]byte{"r": message(1, "r", 2, "other")}})
		return want{check: "members", member: "m2", text: `auth differ: the role "r" is stored with other bytes on m1 than on m2`, only: true}
	},
}

func TestAuthMutants(t *testing.T) {
	for name, brk := range authMutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				a := newAuthRun(t, seed+600)
				w := brk(a)
				w.test(t, a.judge(t))
			}
		})
	}
}

// authCases must not fail.
var authCases = map[string]func(a *authRun) want{
	"all as it must be": func(a *authRun) want {
		a.write("alice", "x1")
		a.write("root", "z")
		a.reads("alice", "x", "y")
		a.denied(a.reads("alice", "x", "z"))
		a.denied(a.reads("bob", "x", ""))
		a.asks("m2", history.KindAuth, "", history.Call{Method: "UserGet", Name: "alice", List: []string{"r"}}).User = "root"
		a.asks("m2", history.KindAuth, "", history.Call{Method: "UserList", List: []string{"alice", "bob", "root"}}).User = "root"
		return want{result: Pass}
	},
	"beside a change": func(a *authRun) want {
		c := a.auth("root", history.Call{Method: "UserRevokeRole", Name: "alice", Role: "r"})
		a.disk = append(a.disk, diskRecord{where: "authUsers", what: map[string][]byte{"alice": message(1, "alice")}})
		invoke := c.Invoke
		a.reads("alice", "x", "").Invoke = invoke
		a.denied(a.reads("alice", "x", "")).Invoke = invoke
		return want{result: Pass}
	},
	"after a change of unknown outcome": func(a *authRun) want {
		unanswered(a.auth("root", history.Call{Method: "UserRevokeRole", Name: "alice", Role: "r"}))
		a.rev--
		a.reads("alice", "x", "")
		a.denied(a.reads("alice", "x", ""))
		a.write("root", "z")
		return want{result: Pass}
	},
	"clocks that differ": func(a *authRun) want {
		a.auth("root", history.Call{Method: "UserRevokeRole", Name: "alice", Role: "r"})
		a.disk = append(a.disk, diskRecord{where: "authUsers", what: map[string][]byte{"alice": message(1, "alice")}})
		a.reads("alice", "x", "")
		a.now += 20_000_000
		a.write("root", "z")
		a.Meta.ClockUncertainty = 3_000_000
		return want{result: Pass}
	},
	"a member that lags": func(a *authRun) want {
		a.auth("root", history.Call{Method: "UserRevokeRole", Name: "alice", Role: "r"})
		a.disk = append(a.disk, diskRecord{where: "authUsers", what: map[string][]byte{"alice": message(1, "alice")}})
		a.reads("alice", "x", "").Then[0].Serializable = true
		return want{result: Pass}
	},
	"an old auth revision": func(a *authRun) want {
		a.refuses(a.reads("alice", "x", ""), "etcdserver: revision of auth store is old")
		return want{result: Pass}
	},
	"turned off": func(a *authRun) want {
		a.auth("root", history.Call{Method: "AuthDisable"})
		a.disk = append(a.disk, diskRecord{where: "auth", what: map[string][]byte{"authEnabled": {0}}})
		a.write("", "x")
		a.write("bob", "x")
		return want{result: Pass}
	},
	"two permissions that meet": func(a *authRun) want {
		a.auth("root", history.Call{Method: "RoleGrantPermission", Role: "r", Key: a.key("y"), End: a.key("z"), Permission: "READ"})
		a.reads("alice", "x", "z")
		return want{result: Pass}
	},
	"a role given twice": func(a *authRun) want {
		a.auth("root", history.Call{Method: "UserGrantRole", Name: "alice", Role: "r"})
		a.rev-- // etcd ignores it
		return want{result: Pass}
	},
	"a lease with keys of others": func(a *authRun) want {
		o := a.denied(a.reads("alice", "x", ""))
		o.Then = []history.Request{{Verb: history.Put, Key: a.key("x"), Value: history.Value(a.Meta.ID, 0, o.ID, 0, 80), Lease: 7}}
		return want{result: Pass}
	},
	"users from before the run": func(a *authRun) want {
		a.reads("dave", "x", "")
		return want{result: Pass}
	},
	"nothing is certain": func(a *authRun) want {
		for i := range a.Ops {
			if a.Ops[i].Kind == history.KindAuth {
				unanswered(&a.Ops[i])
			}
		}
		a.reads("dave", "x", "")
		return want{check: "auth", result: Inconclusive, text: "no answer to anybody was certain"}
	},
	"no disk": func(a *authRun) want {
		for i := range a.Final.Members {
			a.Final.Members[i].AppliedIndex += 5
		}
		return want{check: "auth", result: Inconclusive, text: "whether users and roles were kept is not known"}
	},
	"the history ends early": func(a *authRun) want {
		a.write("bob", "x")
		a.NoEnd = true
		return want{check: "auth", result: Inconclusive, text: "the history ends early"}
	},
}

func TestAuthCases(t *testing.T) {
	for name, brk := range authCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthRun(t, 700)
			w := brk(a)
			v := a.judge(t)
			if w.result == Pass {
				if check(v, "auth").Verdict != Pass || check(v, "members").Verdict != Pass {
					t.Fatal(show(v))
				}
				return
			}
			w.test(t, v)
		})
	}
}

func TestFact(t *testing.T) {
	var f fact
	for _, s := range []setting{{from: 10, to: 20, value: 1}, {from: 30, to: 40, value: 2}, {from: 35, to: 50, client: 1, value: 3}, {from: 60, to: math.MaxInt64, value: 1}} {
		f.set(s)
	}
	f.settle()
	for _, c := range []struct {
		from, to int64
		want     values
		decided  bool
	}{
		{0, 5, anyValue, false}, {0, 15, anyValue, false}, {21, 25, 1 << 1, true}, {21, 30, 1<<1 | 1<<2, true}, {41, 45, 1<<2 | 1<<3, true},
		{51, 55, 1<<2 | 1<<3, true}, {51, 60, 1<<1 | 1<<2 | 1<<3, true}, {99, 99, 1<<1 | 1<<2 | 1<<3, true},
	} {
		if got, decided := f.values(c.from, c.to); got != c.want || decided != c.decided {
			t.Errorf("from %d to %d: %04b, %v, want %04b", c.from, c.to, got, decided, c.want)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		list []interval
		at   interval
		want bool
	}{
		{nil, interval{"a", ""}, false},
		{[]interval{{"a", ""}}, interval{"a", ""}, true},
		{[]interval{{"a", "c"}}, interval{"b", ""}, true},
		{[]interval{{"a", "c"}}, interval{"c", ""}, false},
		{[]interval{{"a", "\x00"}}, interval{"z", "\x00"}, true},
		{[]interval{{"b", "c"}, {"a", "b"}}, interval{"a", "c"}, true},
		{[]interval{{"b", "c"}, {"a", "ab"}}, interval{"a", "c"}, false},
		{[]interval{{"a", "b"}, {"b", ""}}, interval{"a", "b\x00"}, true},
		{[]interval{{"a", "z"}}, interval{"a", "\x00"}, false},
	} {
		if got := covers(c.list, c.at); got != c.want {
			t.Errorf("%v cover %v: %v", c.list, c.at, got)
		}
	}
}

package traffic

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/authpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/history"
)

// User is who a client is to etcd.
type User struct{ Name, Password string }

// Root is the user that may do everything while a profile has authentication
// on. Its password is no secret: a lab whose run was killed must stay usable
// (etcdctl --user root:etcdlab auth disable).
var Root = User{Name: "root", Password: "etcdlab"}

// Users of the run, and the roles of the same names: one may write every key of
// the run, one the lower half of them, one reads all, and one has no role but
// what it is given for a while.
const (
	userAll = iota
	userHalf
	userReader
	userGuest
	users
)

func (l *Load) user(n int) User {
	name := []string{"all", "half", "reader", "guest"}[n]
	return User{Name: fmt.Sprintf("etcdlab-%s-%s", l.opts.RunID[:min(6, len(l.opts.RunID))], name), Password: "etcdlab-" + name}
}

// loop changes something of users and roles every now and then.
func (a admin) loop(ctx context.Context) {
	guest, temporary := a.load.user(userGuest), a.load.user(userGuest)
	temporary.Name += "-2"
	half, reader := a.load.user(userHalf).Name, a.load.user(userReader).Name
	keys := a.load.opts.Profile.Keys
	from, to := a.key(keys/2), a.key(keys)
	changes := []func() *history.Op{
		func() *history.Op { return a.grantRole(ctx, guest.Name, reader) },
		func() *history.Op { return a.revokeRole(ctx, guest.Name, reader) },
		func() *history.Op { return a.grantRole(ctx, guest.Name, half) },
		func() *history.Op { return a.revokeRole(ctx, guest.Name, half) },
		func() *history.Op { return a.allow(ctx, half, from, to, authpb.Permission_READ) },
		func() *history.Op { return a.allow(ctx, half, from, to, authpb.Permission_READWRITE) },
		func() *history.Op { return a.forbid(ctx, half, from, to) },
		func() *history.Op { return a.addUser(ctx, temporary) },
		func() *history.Op { return a.deleteUser(ctx, temporary) },
		func() *history.Op { return a.changePassword(ctx, guest) },
		func() *history.Op { return a.rolesOf(ctx, guest.Name) },
		func() *history.Op { return a.userList(ctx) },
	}
	for n := 0; a.sleep(ctx, a.load.opts.Profile.AuthEvery); n++ {
		a.at(n)
		if changes[a.rng.IntN(len(changes))]() == nil {
			return
		}
	}
}

// prepare makes the users and roles and enables authentication. What is there
// already, from an earlier run on the lab, is as good.
func (a admin) prepare(ctx context.Context) error {
	prefix := a.load.opts.Prefix
	keys := a.load.opts.Profile.Keys
	steps := []func() *history.Op{
		func() *history.Op { return a.addUser(ctx, Root) },
		func() *history.Op { return a.changePassword(ctx, Root) },
		func() *history.Op { return a.grantRole(ctx, Root.Name, "root") },
	}
	for n := range users {
		u := a.load.user(n)
		steps = append(steps,
			func() *history.Op { return a.addUser(ctx, u) },
			func() *history.Op { return a.addRole(ctx, u.Name) },
			func() *history.Op { return a.grantRole(ctx, u.Name, u.Name) })
	}
	all, half, reader := a.load.user(userAll).Name, a.load.user(userHalf).Name, a.load.user(userReader).Name
	steps = append(steps,
		func() *history.Op { return a.allow(ctx, all, prefix, prefixEnd(prefix), authpb.Permission_READWRITE) },
		func() *history.Op { return a.allow(ctx, half, prefix, a.key(keys/2), authpb.Permission_READWRITE) },
		func() *history.Op { return a.allow(ctx, reader, prefix, prefixEnd(prefix), authpb.Permission_READ) },
		func() *history.Op { return a.enable(ctx) },
	)
	for _, step := range steps {
		op := step()
		switch {
		case op == nil:
			return fmt.Errorf("enable authentication: %w", context.Cause(ctx))
		case op.Outcome == history.Unknown, op.Outcome == history.Failed && op.Call.Method == "AuthEnable":
			return fmt.Errorf("enable authentication: %s: %s", op.Call.Method, op.Error)
		}
	}
	return nil
}

// disableWithin bounds the attempts to disable authentication at the end.
const disableWithin = 30 * time.Second

// restore disables authentication; members may be away, so it asks all of them.
func (a admin) restore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.load.opts.slow(disableWithin))
	defer cancel()
	last := "no member was asked"
	// Clients of its own: those of the load may not be root's yet.
	clients := map[string]*clientv3.Client{}
	for n := 0; ctx.Err() == nil; n++ {
		a.at(n)
		if clients[a.member] == nil {
			etcd, err := a.load.dial([]string{a.load.opts.Endpoints[n%len(a.load.opts.Endpoints)].URL}, Root)
			if err != nil {
				last = err.Error()
				continue
			}
			clients[a.member] = etcd
		}
		a.etcd = clients[a.member]
		op := a.disable(ctx)
		if op.Outcome == history.OK || op.Error == notEnabled {
			return nil
		}
		last = op.Error
		a.sleep(ctx, 100*time.Millisecond)
	}
	return fmt.Errorf("disable authentication: %s; `etcdctl --user %s:%s auth disable` does it by hand", last, Root.Name, Root.Password)
}

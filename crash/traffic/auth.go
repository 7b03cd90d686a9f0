package traffic

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

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

// admin is the client that manages users and roles.
type admin struct{ *client }

type authAsk func(context.Context, pb.AuthClient, *history.Call) (header, error)

// do does one operation of the auth service; nil: the load is over.
func (a admin) do(ctx context.Context, method string, call history.Call, ask authAsk) *history.Op {
	op := a.begin(ctx)
	if op == nil {
		return nil
	}
	call.Method = method
	// Passwords are hashed slowly, on purpose.
	return a.callAs(ctx, op, 2*a.load.opts.Timeout, history.KindAuth, call, func(ctx context.Context, conn *grpc.ClientConn, call *history.Call) (header, error) {
		return ask(ctx, pb.NewAuthClient(conn), call)
	})
}

func (a admin) addUser(ctx context.Context, u User) *history.Op {
	return a.do(ctx, "UserAdd", history.Call{Name: u.Name}, func(ctx context.Context, c pb.AuthClient, _ *history.Call) (header, error) {
		r, err := c.UserAdd(ctx, &pb.AuthUserAddRequest{Name: u.Name, Password: u.Password})
		return r.GetHeader(), err
	})
}

func (a admin) deleteUser(ctx context.Context, u User) *history.Op {
	return a.do(ctx, "UserDelete", history.Call{Name: u.Name}, func(ctx context.Context, c pb.AuthClient, _ *history.Call) (header, error) {
		r, err := c.UserDelete(ctx, &pb.AuthUserDeleteRequest{Name: u.Name})
		return r.GetHeader(), err
	})
}

func (a admin) changePassword(ctx context.Context, u User) *history.Op {
	return a.do(ctx, "UserChangePassword", history.Call{Name: u.Name}, func(ctx context.Context, c pb.AuthClient, _ *history.Call) (header, error) {
		r, err := c.UserChangePassword(ctx, &pb.AuthUserChangePasswordRequest{Name: u.Name, Password: u.Password})
		return r.GetHeader(), err
	})
}

func (a admin) grantRole(ctx context.Context, user, role string) *history.Op {
	return a.do(ctx, "UserGrantRole", history.Call{Name: user, Role: role}, func(ctx context.Context, c pb.AuthClient, _ *history.Call) (header, error) {
		r, err := c.UserGrantRole(ctx, &pb.AuthUserGrantRoleRequest{User: user, Role: role})
		return r.GetHeader(), err
	})
}

func (a admin) revokeRole(ctx context.Context, user, role string) *history.Op {
	return a.do(ctx, "UserRevokeRole", history.Call{Name: user, Role: role}, func(ctx context.Context, c pb.AuthClient, _ *history.Call) (header, error) {
		r, err := c.UserRevokeRole(ctx, &pb.AuthUserRevokeRoleRequest{Name: user, Role: role})
		return r.GetHeader(), err
	})
}

func (a admin) addRole(ctx context.Context, role string) *history.Op {
	return a.do(ctx, "RoleAdd", history.Call{Role: role}, func(ctx context.Context, c pb.AuthClient, _ *history.Call) (header, error) {
		r, err := c.RoleAdd(ctx, &pb.AuthRoleAddRequest{Name: role})
		return r.GetHeader(), err
	})
}

func (a admin) allow(ctx context.Context, role, key, end string, perm authpb.Permission_Type) *history.Op {
	p := authpb.Permission{Key: []byte(key), RangeEnd: []byte(end), PermType: perm}
	name := perm.String()
	return a.do(ctx, "RoleGrantPermission", history.Call{Role: role, Key: key, End: end, Permission: name}, func(ctx context.Context, c pb.AuthClient, _ *history.Call) (header, error) {
		r, err := c.RoleGrantPermission(ctx, &pb.AuthRoleGrantPermissionRequest{Name: role, Perm: &p})
		return r.GetHeader(), err
	})
}

func (a admin) forbid(ctx context.Context, role, key, end string) *history.Op {
	return a.do(ctx, "RoleRevokePermission", history.Call{Role: role, Key: key, End: end}, func(ctx context.Context, c pb.AuthClient, _ *history.Call) (header, error) {
		r, err := c.RoleRevokePermission(ctx, &pb.AuthRoleRevokePermissionRequest{Role: role, Key: []byte(key), RangeEnd: []byte(end)})
		return r.GetHeader(), err
	})
}

// rolesOf asks which roles a user has.
func (a admin) rolesOf(ctx context.Context, user string) *history.Op {
	return a.do(ctx, "UserGet", history.Call{Name: user}, func(ctx context.Context, c pb.AuthClient, call *history.Call) (header, error) {
		r, err := c.UserGet(ctx, &pb.AuthUserGetRequest{Name: user})
		call.List = slices.Sorted(slices.Values(r.GetRoles()))
		return r.GetHeader(), err
	})
}

func (a admin) userList(ctx context.Context) *history.Op {
	return a.do(ctx, "UserList", history.Call{}, func(ctx context.Context, c pb.AuthClient, call *history.Call) (header, error) {
		r, err := c.UserList(ctx, &pb.AuthUserListRequest{})
		call.List = slices.Sorted(slices.Values(r.GetUsers()))
		return r.GetHeader(), err
	})
}

func (a admin) enable(ctx context.Context) *history.Op {
	return a.do(ctx, "AuthEnable", history.Call{}, func(ctx context.Context, c pb.AuthClient, _ *history.Call) (header, error) {
		r, err := c.AuthEnable(ctx, &pb.AuthEnableRequest{})
		return r.GetHeader(), err
	})
}

func (a admin) disable(ctx context.Context) *history.Op {
	return a.do(ctx, "AuthDisable", history.Call{}, func(ctx context.Context, c pb.AuthClient, _ *history.Call) (header, error) {
		r, err := c.AuthDisable(ctx, &pb.AuthDisableRequest{})
		return r.GetHeader(), err
	})
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
		func() *history.Op { return a.allow(ctx, half, from, to, clientv3.PermRead) },
		func() *history.Op { return a.allow(ctx, half, from, to, clientv3.PermReadWrite) },
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
		func() *history.Op { return a.allow(ctx, all, prefix, prefixEnd(prefix), clientv3.PermReadWrite) },
		func() *history.Op { return a.allow(ctx, half, prefix, a.key(keys/2), clientv3.PermReadWrite) },
		func() *history.Op { return a.allow(ctx, reader, prefix, prefixEnd(prefix), clientv3.PermRead) },
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

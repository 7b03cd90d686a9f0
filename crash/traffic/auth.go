package traffic

import (
	"context"
	"slices"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/etcdlab/etcdlab/crash/history"
)

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

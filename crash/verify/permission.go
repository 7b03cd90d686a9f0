package verify

import (
	"cmp"
	"math"
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
)

// Bits of a permission.
const (
	mayRead  uint8 = 1
	mayWrite uint8 = 2
)

const rootRole = "root" // may do everything

// interval is one of keys, as a permission has it; end "" is the one key,
// "\x00" is open.
type interval struct{ key, end string }

// permissions is what auth requests made of users and roles, as facts over time.
// What the run did not make itself is not known.
type permissions struct {
	enabled fact
	users   map[string]*principal
	roles   map[string]*principal
	changes []int32 // of h.calls
}

// principal is a user with roles by name, or a role with permissions by interval.
type principal struct {
	exists fact // decided once it was made or deleted: then it has nothing else
	has    map[string]*fact
	grants map[interval]*fact
}

// newPermissions goes twice over the requests: first for what there is, then for
// what became of it.
func newPermissions(h *ops, uncertainty int64) *permissions {
	p := &permissions{users: make(map[string]*principal), roles: make(map[string]*principal)}
	for i := range h.calls {
		c := &h.calls[i]
		if c.kind != history.KindAuth || c.outcome == history.Failed || !changesAuth(c.Method) {
			continue
		}
		p.changes = append(p.changes, int32(i))
		p.meet(c)
	}
	for _, i := range p.changes {
		c := &h.calls[i]
		s := setting{from: c.invoke - uncertainty, to: c.ret + uncertainty, client: c.client}
		if !c.ok() {
			s.to = math.MaxInt64
		}
		p.change(c, s)
	}
	p.enabled.settle()
	for _, list := range [2]map[string]*principal{p.users, p.roles} {
		for _, x := range list {
			x.exists.settle()
			for _, f := range x.has {
				f.settle()
			}
			for _, f := range x.grants {
				f.settle()
			}
		}
	}
	return p
}

func changesAuth(method string) bool {
	switch method {
	case "AuthEnable", "AuthDisable", "UserAdd", "UserDelete", "UserChangePassword", "UserGrantRole", "UserRevokeRole",
		"RoleAdd", "RoleDelete", "RoleGrantPermission", "RoleRevokePermission":
		return true
	}
	return false
}

func (p *permissions) user(name string) *principal {
	if p.users[name] == nil {
		p.users[name] = &principal{has: make(map[string]*fact)}
	}
	return p.users[name]
}

func (p *permissions) role(name string) *principal {
	if p.roles[name] == nil {
		p.roles[name] = &principal{grants: make(map[interval]*fact)}
	}
	return p.roles[name]
}

func (p *permissions) meet(c *callOp) {
	switch c.Method {
	case "UserAdd", "UserDelete":
		p.user(c.Name)
	case "UserGrantRole", "UserRevokeRole":
		if u := p.user(c.Name); u.has[c.Role] == nil {
			u.has[c.Role] = &fact{}
		}
	case "RoleAdd", "RoleDelete":
		p.role(c.Role)
	case "RoleGrantPermission", "RoleRevokePermission":
		if r, at := p.role(c.Role), (interval{c.Call.Key, c.Call.End}); r.grants[at] == nil {
			r.grants[at] = &fact{}
		}
	}
}

func (p *permissions) change(c *callOp, s setting) {
	with := func(value uint8) setting { s.value = value; return s }
	switch c.Method {
	case "AuthEnable":
		p.enabled.set(with(1))
	case "AuthDisable":
		p.enabled.set(with(0))
	case "UserAdd", "UserDelete":
		u := p.users[c.Name]
		u.exists.set(with(bit(c.Method == "UserAdd")))
		for _, f := range u.has {
			f.set(with(0))
		}
	case "UserGrantRole", "UserRevokeRole":
		p.users[c.Name].has[c.Role].set(with(bit(c.Method == "UserGrantRole")))
	case "RoleAdd", "RoleDelete":
		r := p.roles[c.Role]
		r.exists.set(with(bit(c.Method == "RoleAdd")))
		for _, f := range r.grants {
			f.set(with(0))
		}
		if c.Method == "RoleDelete" { // etcd takes it from all users
			for _, u := range p.users {
				if f := u.has[c.Role]; f != nil {
					f.set(with(0))
				}
			}
		}
	case "RoleGrantPermission":
		value := map[string]uint8{"READ": mayRead, "WRITE": mayWrite, "READWRITE": mayRead | mayWrite}[c.Permission]
		p.roles[c.Role].grants[interval{c.Call.Key, c.Call.End}].set(with(value))
	case "RoleRevokePermission":
		p.roles[c.Role].grants[interval{c.Call.Key, c.Call.End}].set(with(0))
	}
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// access says whether a user may have had a permission at some time of a window,
// and whether the user had it all the while. All keys are the root role's.
func (p *permissions) access(user string, at interval, want uint8, from, to int64) (may, must bool) {
	on, _ := p.enabled.values(from, to)
	if !on.may(1) {
		return true, true // everybody may do everything
	}
	may, must = p.granted(user, at, want, from, to)
	return may || on.may(0), must
}

func (p *permissions) granted(user string, at interval, want uint8, from, to int64) (may, must bool) {
	if user == "" {
		return false, false
	}
	u := p.users[user]
	if u == nil {
		return true, false // made before the run
	}
	exists, decided := u.exists.values(from, to)
	if !exists.may(1) {
		return false, false
	}
	may = !decided
	var possible, certain []interval
	for name, f := range u.has {
		has, _ := f.values(from, to)
		switch {
		case !has.may(1):
			continue
		case name == rootRole:
			may, must = true, must || has.only(1)
			continue
		case want&onlyRoot != 0:
			continue
		}
		r := p.roles[name]
		if r == nil {
			may = true
			continue
		}
		if _, decided := r.exists.values(from, to); !decided {
			may = true
		}
		for x, f := range r.grants {
			v, _ := f.values(from, to)
			if v.mayGrant(want) {
				possible = append(possible, x)
			}
			if has.only(1) && v.grant(want) {
				certain = append(certain, x)
			}
		}
	}
	return may || covers(possible, at), must || covers(certain, at)
}

// rooted says whether a user may have had the root role, and had it all the while.
func (p *permissions) rooted(user string, from, to int64) (may, must bool) {
	return p.access(user, interval{"\x00", "\x00"}, mayRead|mayWrite|onlyRoot, from, to)
}

// onlyRoot is a permission that no role but root has.
const onlyRoot uint8 = 4

// covers says whether intervals together hold another one. Where it is none, its
// end before its begin, that is not known: etcd's own tree decides.
func covers(list []interval, at interval) bool {
	if at.end == "" {
		return slices.ContainsFunc(list, func(x interval) bool {
			return x.key == at.key || x.end != "" && x.key <= at.key && (x.end == "\x00" || at.key < x.end)
		})
	}
	slices.SortFunc(list, func(a, b interval) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.end, b.end)) })
	next := at.key
	for _, x := range list {
		switch {
		case x.key > next:
			return false
		case x.end == "\x00":
			return true
		case x.end == "":
			x.end = x.key + "\x00"
		}
		next = max(next, x.end)
		if at.end != "\x00" && next >= at.end {
			return true
		}
	}
	return false
}

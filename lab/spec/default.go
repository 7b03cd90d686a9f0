package spec

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// MaxMembers is the largest lab. etcd's own advice is at most 7; 9 leaves room
// for a learner and a member being replaced.
const MaxMembers = 9

// Defaults of a lab.
const (
	DefaultName    = "default"
	DefaultVersion = "v3.7.3"
	DefaultMembers = 3
	DefaultSize    = Size(1 << 30)
)

// Timers that let a lab on one machine elect within half a second, in
// milliseconds; etcd's own defaults (100, 1000) are for a data centre.
const (
	heartbeat        = "heartbeat-interval"
	election         = "election-timeout"
	defaultHeartbeat = "30"
	defaultElection  = "300"
)

// Count is n members, m1 to mn.
func Count(n int) Members {
	m := make(Members, n)
	for i := range m {
		m[i].Name = fmt.Sprintf("m%d", i+1)
	}
	return m
}

// Use makes e the build that s names: a local tree if s looks like a path
// (contains a separator, or is "." or ".."), else a version; a v that is missing
// in front of a version is added. It is what --etcd takes.
func (e *Etcd) Use(s string) {
	e.Version, e.Source = "", ""
	switch {
	case s == "." || s == ".." || strings.ContainsAny(s, `/\`):
		e.Source = filepath.Clean(s)
		if abs, err := filepath.Abs(s); err == nil {
			e.Source = abs
		}
	case s != "" && strings.Trim(s[:1], "0123456789") == "":
		e.Version = "v" + s
	default:
		e.Version = s
	}
}

// Default fills in what is not said, except the provider and the subnet, which
// depend on the machine. It changes nothing that is set; twice is once.
func (l *Lab) Default() {
	set(&l.APIVersion, APIVersion)
	set(&l.Kind, Kind)
	set(&l.Name, DefaultName)
	if len(l.Members) == 0 {
		l.Members = Count(DefaultMembers)
	}
	if l.Etcd.Source == "" {
		set(&l.Etcd.Version, DefaultVersion)
	}
	if l.Etcd.Failpoints == nil {
		yes := true
		l.Etcd.Failpoints = &yes
	}
	_, h := l.Etcd.Args[heartbeat]
	_, e := l.Etcd.Args[election]
	if !h && !e {
		args := map[string]string{heartbeat: defaultHeartbeat, election: defaultElection}
		maps.Copy(args, l.Etcd.Args)
		l.Etcd.Args = args
	}
	l.Disk.setDefaults()
}

func (d *Disk) setDefaults() {
	set(&d.Kind, DiskKinds[0])
	if d.Kind == "plain" {
		return
	}
	set(&d.FS, FSes[0])
	set(&d.Size, DefaultSize)
	if d.Kind == "fault" {
		set(&d.Profile, Profiles[0])
	}
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// EtcdFor is the build and flags of one member: the lab's, with the member's
// own put over them. A member the lab does not have gets the lab's.
func (l *Lab) EtcdFor(member string) Etcd {
	i := slices.IndexFunc(l.Members, func(m Member) bool { return m.Name == member })
	if i < 0 {
		return l.Etcd.over(Etcd{})
	}
	return l.Etcd.over(l.Members[i].Etcd)
}

// over is e with o's settings over it; it shares no memory with either.
func (e Etcd) over(o Etcd) Etcd {
	r := e
	if o.Version != "" || o.Source != "" {
		r.Version, r.Source = o.Version, o.Source
	}
	if o.Failpoints != nil {
		r.Failpoints = o.Failpoints
	}
	if r.Failpoints != nil {
		f := *r.Failpoints
		r.Failpoints = &f
	}
	r.BboltFailpoints = e.BboltFailpoints || o.BboltFailpoints
	// Patches are of the sources that they are said with.
	r.Patches = slices.Clone(e.Patches)
	if o.Version != "" || o.Source != "" || o.Patches != nil {
		r.Patches = slices.Clone(o.Patches)
	}
	r.Args = merged(e.Args, o.Args)
	r.Env = merged(e.Env, o.Env)
	return r
}

func merged(a, b map[string]string) map[string]string {
	if a == nil && b == nil {
		return nil
	}
	m := make(map[string]string, len(a)+len(b))
	maps.Copy(m, a)
	maps.Copy(m, b)
	return m
}

// clone shares no memory with l.
func (l *Lab) clone() *Lab {
	c := *l
	c.Etcd = l.Etcd.over(Etcd{})
	c.Members = slices.Clone(l.Members)
	for i := range c.Members {
		c.Members[i].Etcd = c.Members[i].Etcd.over(Etcd{})
	}
	return &c
}

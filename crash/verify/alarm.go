package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// etcd's alarm for a db that has reached its quota, and its default quota.
const (
	noSpace      = "NOSPACE"
	kindNoSpace  = 1
	kindCorrupt  = 2
	defaultQuota = 2 << 30 // bytes
)

func alarmName(a datadir.Alarm) string {
	kind := fmt.Sprintf("alarm %d", a.Kind)
	switch a.Kind {
	case kindNoSpace:
		kind = noSpace
	case kindCorrupt:
		kind = "CORRUPT"
	}
	return fmt.Sprintf("%s on member %x", kind, a.Member)
}

// alarms adds the alarms that nothing of the run explains: those of the end, those
// that only a disk holds, and those that clients were told of while it ran.
func (c *evidence) alarms(f *findings) (explained string) {
	told := make(map[string]bool)
	add := func(rank int, name, source, member string, time int64) {
		if told[name] {
			return // every member answers with all
		}
		told[name] = true
		if why := c.quotaReached(); strings.Contains(name, noSpace) && why != "" {
			explained = why
			return
		}
		f.add(rank, 0, func() Evidence { return Evidence{Message: source + " the alarm " + name, Member: member, Time: time} })
	}
	for _, m := range c.cluster.members {
		if m.final != nil {
			for _, name := range m.final.Alarms {
				add(rankLost, name, "the cluster has", m.name, c.final.Time)
			}
		}
	}
	for _, m := range c.cluster.members {
		if m.store == nil {
			continue
		}
		for _, a := range m.store.Report.Shared.Alarms {
			add(rankChanged, alarmName(a), "the db of "+m.name+" holds", m.name, 0)
		}
	}
	if c.ops == nil || c.ops.malformed != "" {
		return explained
	}
	t := &teller{run: c.run}
	for i := range c.ops.calls {
		o := &c.ops.calls[i]
		if o.kind != history.KindAlarms || !o.ok() {
			continue
		}
		for _, s := range o.List { // the member's ID in hex, and the alarm
			id, kind, _ := strings.Cut(s, " ")
			add(rankChanged, kind+" on member "+id, c.ops.members[o.member]+" answered at "+t.at(o.ret)+" with", c.ops.members[o.member], o.ret)
		}
	}
	return explained
}

// quotaReached says why a db may rightly have run out of its quota, after which
// etcd refuses writes until it is compacted, defragmented and disarmed.
func (c *evidence) quotaReached() string {
	for _, s := range []string{c.run.Fault, c.run.Profile} {
		for _, word := range []string{"space", "full", "quota"} {
			if strings.Contains(s, word) {
				return "the run fills the disk or the quota (" + s + ")"
			}
		}
	}
	for i := range c.run.Members {
		quota := int64(defaultQuota)
		if value, ok := argument(c.run.Members[i].Args, "quota-backend-bytes"); ok {
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
				quota = n
			}
		}
		if quota < defaultQuota {
			return fmt.Sprintf("the quota of %s is %d bytes", c.run.Members[i].Name, quota)
		}
		if size := c.dbSize(c.run.Members[i].Name); size >= quota/10*9 {
			return fmt.Sprintf("the db of %s grew to %d bytes of a quota of %d", c.run.Members[i].Name, size, quota)
		}
	}
	return ""
}

// dbSize is the largest size in bytes that a member's db is known to have had.
func (c *evidence) dbSize(member string) (size int64) {
	for _, m := range c.cluster.members {
		if m.name == member && m.store != nil {
			size = m.store.Report.DB.Size
		}
	}
	if c.ops == nil {
		return size
	}
	at := slices.Index(c.ops.members, member)
	for i := range c.ops.calls {
		if o := &c.ops.calls[i]; o.kind == history.KindStatus && o.ok() && int(o.member) == at {
			size = max(size, o.Size)
		}
	}
	return size
}

package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

const checkEtcd = "etcd-checks"

// judgeEtcd says whether etcd itself found something wrong: alarms, and what
// members logged.
func (c *evidence) judgeEtcd(dir history.Dir) Check {
	var f findings
	var d doubts
	if c.final == nil {
		d = append(d, "there is no final state, so alarms are not known: "+c.finalErr.Error())
	}
	explained := c.alarms(&f)
	for _, m := range c.cluster.members {
		if m.final != nil && m.final.Error != "" && !m.final.Serving {
			d = append(d, m.name+" could not be asked for alarms: "+m.final.Error)
		}
		noDisk, err := c.readLog(dir.Log(m.name), m.name, &f)
		if err != nil {
			d = append(d, fmt.Sprintf("the log of %s cannot be read: %v", m.name, bare(err)))
		}
		if noDisk != "" {
			d = append(d, fmt.Sprintf("the disk of %s failed, which no fault of this run does: %s", m.name, clip(noDisk)))
		}
	}
	alarm := "no alarm"
	if explained != "" {
		alarm = "no alarm but that of a db without space, since " + explained
	}
	return settle(checkEtcd, &f, d, fmt.Sprintf("%d alarms or messages of corruption, panics or races", f.total),
		fmt.Sprintf("%s, and nothing of corruption, panics or races in the logs of %d members", alarm, len(c.cluster.members)))
}

func (c *evidence) readLog(path, member string, f *findings) (noDisk string, err error) {
	l := &logReader{fault: c.run.Fault}
	if !strings.Contains(c.run.Fault, "clock-") { // else its clock tells nothing
		l.since, _ = time.Parse(time.RFC3339Nano, c.run.Wall) // without it all of the log counts
	}
	l.wrong, l.others = c.wrongOf(member)
	err = l.read(path, func(n int64, means, line string) {
		f.add(rankOther, n, func() Evidence {
			return Evidence{Message: fmt.Sprintf("%s %s, line %d of its log: %s", member, means, n, clip(line)), Member: member}
		})
	})
	return l.noDisk, err
}

package verify

import (
	"fmt"
	"strings"
)

const checkDisk = "disk"

// judgeDisk says whether each member's files are whole and agree: bbolt's
// pages, the WAL's chain of CRCs, snapshots, and the indexes that tie them.
func (c *evidence) judgeDisk() Check {
	var f findings
	var d doubts
	var failed []string
	checked := 0
	for _, m := range c.cluster.members {
		report := func(format string, args ...any) {
			f.add(rankOther, 0, func() Evidence {
				return Evidence{Message: m.name + ": " + fmt.Sprintf(format, args...), Member: m.name}
			})
		}
		switch {
		case m.missing != "":
			d = append(d, m.name+": "+m.missing)
			continue
		case m.err != nil:
			failed = append(failed, m.name+": "+m.err.Error())
			continue
		}
		checked++
		rep := &m.store.Report
		for _, p := range rep.Problems {
			report("%s: %s", p.File, p.Message)
		}
		if m.damaged != "" && len(rep.Problems) == 0 {
			report("the data directory is damaged: %s", m.damaged)
		}
		if m.damaged == "" && len(rep.Problems) == 0 {
			for _, wrong := range rep.Agree(c.version(m)) {
				report("%s", wrong.Message)
			}
			c.termsKept(m, report)
		}
		if rep.WAL.Beyond {
			// A member that was restarted has cut its torn tail off and cleared
			// what followed. One that was not may have written pages in any order.
			if m.serving() {
				report("%s: the record at byte %d is damaged: the log goes on at byte %d", rep.WAL.TornFile, rep.WAL.TornAt, rep.WAL.BeyondAt)
			} else {
				d = append(d, fmt.Sprintf("%s: %s goes on at byte %d after a torn record, which is damage if the member was restarted since", m.name, rep.WAL.TornFile, rep.WAL.BeyondAt))
			}
		}
	}
	check := settle(checkDisk, &f, d, fmt.Sprintf("%d findings in the data of %d members", f.total, checked),
		fmt.Sprintf("db pages, log, snapshots and indexes of %d members are whole and agree", checked))
	if f.total == 0 && len(failed) > 0 {
		check.Verdict, check.Detail = Error, strings.Join(failed, "; ")
	}
	return check
}

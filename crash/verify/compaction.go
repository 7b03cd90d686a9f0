package verify

import "fmt"

// judgeCompaction says whether compactions left what they must.
func (c *evidence) judgeCompaction(r *replay) Check {
	if r.compacted <= r.base && r.compaction.total == 0 {
		return Check{}
	}
	return settle(checkCompaction, &r.compaction, r.unknown(),
		fmt.Sprintf("%d findings against compactions", r.compaction.total),
		fmt.Sprintf("the compaction at revision %d left the state that the revisions before it make", r.compacted))
}

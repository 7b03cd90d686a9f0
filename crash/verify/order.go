package verify

import "fmt"

const (
	checkOrder        = "order"
	checkReads        = "reads"
	checkTransactions = "transactions"
	checkCompaction   = "compaction"
)

// unknown is what keeps the replay from having judged everything.
func (r *replay) unknown() (d doubts) {
	if r.watchErr != nil {
		d = append(d, "what the recorders saw cannot be read: "+r.watchErr.Error())
	}
	d.when(r.below, "%d operations are at compacted revisions, of which neither the store nor a recorder tells")
	return d
}

// judgeOrder says whether revisions respect real time and answers to what is
// linearizable show the state at theirs.
func judgeOrder(r *replay, rt *realtime) Check {
	rt.judge(r.h, r.t, &r.order)
	d := r.incomplete()
	if len(r.h.all) == 0 || r.h.acked == 0 && r.checked == 0 {
		d = append(d, "no operation was acknowledged: there is no order to judge")
	}
	d.when(r.unordered, "%d transactions compare the order of values of which only hashes are known")
	return settle(checkOrder, &r.order, d,
		fmt.Sprintf("%d findings against %d operations", r.order.total, len(r.h.all)),
		fmt.Sprintf("the revisions of %d operations respect real time, and %d answers show the state at theirs", len(r.h.all), r.checked))
}

// incomplete are the doubts of all checks that compare answers.
func (r *replay) incomplete() (d doubts) {
	if r.h.truncated {
		d = append(d, "the history ends early: operations are missing from it")
	}
	d = append(d, r.unknown()...)
	d.when(r.beyond, "%d answers are newer than the store that could be read")
	d.when(r.outside, "%d ranges reach beyond the run's keys")
	d.when(r.atRisk+r.unseen+r.walOnly, "%d acknowledged writes are not in the store that was replayed")
	return d
}

// judgeReads says whether serializable reads and reads at an older revision show
// the state at the revision they say.
func judgeReads(r *replay) Check {
	if r.stale == 0 && r.reads.total == 0 {
		return Check{}
	}
	return settle(checkReads, &r.reads, r.incomplete(),
		fmt.Sprintf("%d of %d serializable and historical reads are wrong", r.reads.total, r.stale),
		fmt.Sprintf("%d serializable and historical reads show the state at their revision", r.stale))
}

// judgeTransactions says whether transactions took the branch that the state
// before them makes them take, and did all of it at one revision.
func judgeTransactions(r *replay) Check {
	if r.branches == 0 && r.txns.total == 0 {
		return Check{}
	}
	d := r.incomplete()
	d.when(r.unordered, "%d transactions compare the order of values of which only hashes are known")
	return settle(checkTransactions, &r.txns, d,
		fmt.Sprintf("%d findings against transactions with %d branches taken", r.txns.total, r.branches),
		fmt.Sprintf("%d branches were taken as the state before them demands, and their writes and answers are whole", r.branches))
}

package verify

// Result of a check or of a run. Unknown is never pass.
type Result string

const (
	Pass         Result = "pass"
	Fail         Result = "fail"
	Inconclusive Result = "inconclusive"
	Error        Result = "error"
)

// Verdict is verdict.json. It depends on the run directory's contents alone:
// it holds no path, no time of judging and no name of the judging machine.
type Verdict struct {
	Verdict    Result  `json:"verdict"`
	Reason     string  `json:"reason,omitempty"` // one sentence, for anything but pass
	Run        string  `json:"run"`
	Scenario   string  `json:"scenario"`
	Etcd       string  `json:"etcd"`
	Provider   string  `json:"provider"`
	Seed       uint64  `json:"seed"`
	Operations int     `json:"operations"`
	Faults     int     `json:"faults"` // rounds whose fault was seen to take effect
	Checks     []Check `json:"checks"`
}

// Check is one claim and what became of it.
type Check struct {
	Name     string     `json:"name"`
	Verdict  Result     `json:"verdict"`
	Detail   string     `json:"detail"`
	Evidence []Evidence `json:"evidence,omitempty"` // the first few, worst first
	Total    int        `json:"total,omitempty"`    // of the evidence found
}

// Evidence is one thing a person can follow.
type Evidence struct {
	Message   string   `json:"message"`
	Operation uint64   `json:"operation,omitempty"` // history's Op.ID
	Client    int32    `json:"client,omitempty"`
	Member    string   `json:"member,omitempty"`
	Revision  int64    `json:"revision,omitempty"`
	Time      int64    `json:"t,omitempty"` // nanoseconds of CLOCK_MONOTONIC
	Keys      []string `json:"keys,omitempty"`
	// Operations are the fewest that show it, and Story tells them and the
	// fault among them, a line each, in order of time.
	Operations []uint64 `json:"operations,omitempty"`
	Story      []string `json:"story,omitempty"`
}

// CheckNames are the checks that there are.
func CheckNames() []string {
	return []string{
		checkDurability, checkOrder, checkReads, checkTransactions, checkCompaction, checkWatch, checkLeases, checkLocks, checkAuth,
		checkLiveness, checkOpinion, checkHash, checkMembers, checkEtcd, checkDisk, checkRecovery, checkFaults,
	}
}

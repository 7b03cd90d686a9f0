package fsck

import "github.com/etcdlab/etcdlab/crash/verify/datadir"

// Verdicts, as verify's.
const (
	Pass         = "pass"
	Fail         = "fail"
	Inconclusive = "inconclusive" // nothing wrong was found, and not all could be checked
)

// Result is what was found in a data directory.
type Result struct {
	Verdict     string            `json:"verdict"`
	Dir         string            `json:"dir"`
	Against     []string          `json:"against,omitempty"`
	Problems    []datadir.Problem `json:"problems"`              // damage
	Doubts      []string          `json:"doubts,omitempty"`      // what could not be checked
	Notes       []string          `json:"notes,omitempty"`       // what is worth a word and no damage
	Recoverable []string          `json:"recoverable,omitempty"` // what to do about the damage
	Facts       Facts             `json:"facts"`
}

// Facts are what the directory says of itself.
type Facts struct {
	Version         string `json:"clusterVersion,omitempty"` // "": unknown, as before v3.5
	Revision        int64  `json:"revision"`
	Compacted       int64  `json:"compacted"` // revision; 0: never
	ConsistentIndex uint64 `json:"consistentIndex"`
	Records         int    `json:"records"`   // of the key bucket
	DBSize          int64  `json:"dbSize"`    // bytes
	LiveBytes       int64  `json:"liveBytes"` // of the db's pages that are in use
	WALFirst        uint64 `json:"walFirst"`  // index of the oldest entry still there; 0: none
	WALLast         uint64 `json:"walLast"`
	WALCommit       uint64 `json:"walCommit"` // as saved, which may lag
	Term            uint64 `json:"term"`
	Segments        int    `json:"segments"`
	Snapshots       int    `json:"snapshots"`
	Matched         int    `json:"matched"`     // revisions that were compared with the log
	MatchedFrom     int64  `json:"matchedFrom"` // the oldest of them; 0: none
}

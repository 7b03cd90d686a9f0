// Package hunt looks for violations that nobody has told it of: it draws labs,
// loads and schedules of faults from all that there is, judges every run, favours
// what led to new ground, and makes each finding as small as it still happens.
package hunt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/etcdlab/etcdlab/crash/fault"
)

// Space is what a hunt draws from. Everything else that is drawn from, such as
// the operations of clients, is the same for every etcd.
type Space struct {
	Version string   `json:"version"`
	Points  []string `json:"points"` // failpoints compiled into it
	Faults  []string `json:"faults"` // that the lab can do
	FSes    []string `json:"fses"`   // of the members' disks
	Members []int    `json:"members"`
}

// leg is how many rounds in a row are drawn for one lab: making one costs as much
// as a round.
const leg = 5

// generation is counted up with every change to what a seed draws.
const generation = 3

// Hash is of all that decides what is drawn: two hunts of one hash, without
// feedback, play the same rounds.
func (s *Space) Hash(seed uint64) string {
	b, err := json.Marshal(struct {
		Generation int    `json:"generation"`
		Seed       uint64 `json:"seed"`
		Space      *Space `json:"space"`
	}{generation, seed, s})
	if err != nil {
		panic(err) // strings and numbers
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

// kinds are the faults that the space has. Those that break what etcd builds on
// are left out: what it loses then, a round after another, it may.
func (s *Space) kinds() (kinds []fault.Kind) {
	for _, k := range fault.Kinds() {
		if k.Name != fault.NameNone && k.Honest() && slices.Contains(s.Faults, k.Name) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

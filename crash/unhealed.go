package crash

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
)

// Unhealed is the record of a fault that is under way: it is stored before the
// fault is applied and removed once it was seen healed, so that what a killed
// etcdlab left can be healed by the next.
type Unhealed struct {
	Fault   string            `json:"fault"`
	With    map[string]string `json:"with,omitempty"`
	Targets []string          `json:"targets"`
	Seed    uint64            `json:"seed"`
	RunDir  string            `json:"runDir,omitempty"`
	At      int64             `json:"at"` // nanoseconds of CLOCK_MONOTONIC

	file string
}

// Age is how long ago the fault was begun.
func (u *Unhealed) Age() time.Duration { return clock.Since(u.At) }

// book is the directory of a lab's records: that of its own state, in which
// they are told from what else is there by their names.
type book string

const (
	recordPrefix = "unhealed-"
	recordSuffix = ".json"
)

func bookOf(l *lab.Lab) book { return book(l.Dir) }

// begin stores a record; done removes it.
func (b book) begin(u Unhealed) (done func() error, err error) {
	u.At = clock.Now()
	data, err := json.Marshal(u)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(string(b), fmt.Sprintf("%s%020d-%x%s", recordPrefix, u.At, u.Seed, recordSuffix))
	part := name + ".part"
	if err := errors.Join(os.WriteFile(part, data, 0o600), os.Rename(part, name)); err != nil {
		return nil, fmt.Errorf("record the fault before it is applied: %w", err)
	}
	return func() error { return remove(name) }, nil
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the record of a healed fault: %w", err)
	}
	return nil
}

// List gives the faults of a lab that were not seen healed, the latest first: as
// they are to be healed.
func List(l *lab.Lab) ([]Unhealed, error) {
	dir := string(bookOf(l))
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the records of faults: %w", err)
	}
	var all []Unhealed
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), recordPrefix) || !strings.HasSuffix(e.Name(), recordSuffix) {
			continue // half a record is one of a fault that was never applied
		}
		u, err := readUnhealed(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	slices.SortStableFunc(all, func(a, b Unhealed) int { return cmp.Compare(b.file, a.file) })
	return all, nil
}

func readUnhealed(name string) (Unhealed, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return Unhealed{}, fmt.Errorf("read the record of a fault: %w", err)
	}
	u, err := decodeUnhealed(data)
	if err != nil {
		return u, fmt.Errorf("read the record of a fault %s: %w; `etcdlab down` removes the lab with it", name, err)
	}
	u.file = name
	return u, nil
}

func decodeUnhealed(data []byte) (u Unhealed, err error) {
	err = json.Unmarshal(data, &u)
	if err == nil && (u.Fault == "" || len(u.Targets) == 0) {
		err = errors.New("it names no fault or no target")
	}
	return u, err
}

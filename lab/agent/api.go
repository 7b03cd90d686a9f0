package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// Status is the answer of GET /v1/status and of what changes etcd.
type Status struct {
	Lab      string    `json:"lab"`
	Member   string    `json:"member"`
	Agent    int       `json:"agent"` // its PID
	State    lab.State `json:"state"`
	PID      int       `json:"pid,omitempty"`     // of etcd
	Started  int64     `json:"started,omitempty"` // CLOCK_MONOTONIC, nanoseconds
	Exit     *Exit     `json:"exit,omitempty"`    // of the last etcd
	LinkUp   bool      `json:"linkUp"`
	Freezer  string    `json:"freezer"`
	DiskFail string    `json:"diskFail,omitempty"` // why the disk is off
	Broken   string    `json:"broken,omitempty"`   // how this machine failed the disk
	// MetFailures says that the file system met faults of its disk since it was
	// mounted; it may be read-only until it is mounted again.
	MetFailures bool `json:"metFailures,omitempty"`
	// Damaged says that files of its data were damaged, and not repaired since.
	Damaged bool `json:"damaged,omitempty"`

	// Command and Version are of the etcd that runs, or of the last one.
	Command []string `json:"command,omitempty"`
	Version string   `json:"version,omitempty"`
	// Settings are what etcd is started with next; nil are the spec's. Stale says
	// that the one that runs was started with others.
	Settings *lab.Settings `json:"settings,omitempty"`
	Stale    bool          `json:"stale,omitempty"`
	// Wiped says that the data directory was emptied and etcd not started since.
	Wiped   bool       `json:"wiped,omitempty"`
	Limited lab.Limits `json:"limited"`
}

// Exit is how an etcd ended.
type Exit struct {
	At        int64  `json:"at"`             // CLOCK_MONOTONIC, nanoseconds
	Status    string `json:"status"`         // "exit status 2", "signal: killed"
	Requested bool   `json:"requested"`      // by Stop, Kill or Signal
	Memory    bool   `json:"memory"`         // by the kernel, for the limit that SetLimits set
	Last      string `json:"last,omitempty"` // what etcd logged at the end
}

func (e *Exit) String() string {
	if e.Memory {
		return e.Status + ": it took more memory than it was given"
	}
	if e.Requested || e.Last == "" {
		return e.Status
	}
	return e.Status + ": " + e.Last
}

// Requests. Durations are strings such as "500ms".
type (
	freezeRequest struct {
		Deadline duration `json:"deadline"`
	}
	linkRequest struct {
		Up *bool `json:"up"`
	}
	holdRequest struct {
		Max duration `json:"max"`
	}
	restoreRequest struct {
		Policy disk.Policy `json:"policy"`
		Seed   uint64      `json:"seed"`
	}
	faultsRequest struct {
		Faults []disk.Fault `json:"faults"`
	}
	profileRequest struct {
		Profile string `json:"profile"`
	}
	shutdownRequest struct {
		// Discard says that the data will be removed: its disk loses power
		// first, which makes unmounting quick.
		Discard bool `json:"discard"`
	}
	execRequest struct {
		Argv []string `json:"argv"`
	}
	empty struct{}
)

// maxWait bounds the durations of requests.
const maxWait = time.Minute

func (r freezeRequest) check() error { return r.Deadline.check("deadline") }
func (r holdRequest) check() error   { return r.Max.check("max") }

func (r linkRequest) check() error {
	if r.Up == nil {
		return errors.New("up must be true or false")
	}
	return nil
}

func (r execRequest) check() error {
	if len(r.Argv) == 0 || r.Argv[0] == "" {
		return errors.New("argv must name a command")
	}
	return nil
}

func (r restoreRequest) check() error { return disk.CheckPolicy(r.Policy) }

// checker is a request that can be wrong beyond its form.
type checker interface{ check() error }

// maxBody bounds request bodies, in bytes.
const maxBody = 64 << 10

// decode reads a request strictly: one JSON object of known fields, or nothing
// where a request has no fields that must be set.
func decode[R any](body io.Reader) (R, error) {
	var r R
	d := json.NewDecoder(http.MaxBytesReader(nil, io.NopCloser(body), maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(&r)
	if err != nil && err != io.EOF {
		return r, fmt.Errorf("decode the request: %w", err)
	}
	if err == nil {
		if _, err := d.Token(); err != io.EOF {
			return r, errors.New("decode the request: more follows the JSON object")
		}
	}
	if c, ok := any(r).(checker); ok {
		if err := c.check(); err != nil {
			return r, fmt.Errorf("decode the request: %w", err)
		}
	}
	return r, nil
}

// duration is a time.Duration that is written as time.ParseDuration reads it.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}

func (d duration) check(field string) error {
	if d <= 0 || time.Duration(d) > maxWait {
		return fmt.Errorf("%s must be more than 0 and at most %v", field, maxWait)
	}
	return nil
}

// Kinds of errors on the wire.
const (
	kindInvalid     = "invalid"     // the request is wrong
	kindConflict    = "conflict"    // not in this state
	kindUnsupported = "unsupported" // not with this disk
	kindUnmountable = "unmountable" // the file system did not survive
	kindInternal    = "internal"
)

// Error is what the agent answers instead of a result.
type Error struct {
	Message string       `json:"error"`
	Kind    string       `json:"kind"`
	Choice  *disk.Choice `json:"choice,omitempty"` // of kind unmountable
	// Capability is which one is lacking, of kind unsupported.
	Capability string `json:"capability,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// status is the HTTP status of each kind.
func (e *Error) status() int {
	switch e.Kind {
	case kindInvalid:
		return http.StatusBadRequest
	case kindConflict:
		return http.StatusConflict
	case kindUnsupported:
		return http.StatusNotImplemented
	case kindUnmountable:
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}

// Conflict is the error of what cannot be done in the state that the member is
// in.
func Conflict(format string, args ...any) error {
	return &Error{Message: fmt.Sprintf(format, args...), Kind: kindConflict}
}

// Invalid is the error of a request that is wrong whatever the state.
func Invalid(format string, args ...any) error {
	return &Error{Message: fmt.Sprintf(format, args...), Kind: kindInvalid}
}

func invalid(err error) error { return Invalid("%v", err) }

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

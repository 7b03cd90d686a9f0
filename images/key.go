package images

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
)

// gofailVersion is both the generator that rewrites failpoint comments (linked
// into this program) and the runtime that built etcds link: the generated code
// of one does not fit the runtime of another.
const gofailVersion = "v0.2.0"

// recipeRevision is raised whenever the recipe makes other binaries from the
// same inputs.
const recipeRevision = 2

// imageOS is what binaries are built for: whatever drives a lab, its members
// run on Linux.
const imageOS = "linux"

// Inputs is everything that decides what a build gives; an image's key is its
// hash.
type Inputs struct {
	Version    string `json:"version,omitempty"` // a release, if not a tree
	Tree       string `json:"tree,omitempty"`    // hash of a local tree's sources
	Failpoint  bool   `json:"failpoints"`
	Bbolt      bool   `json:"bboltFailpoints"`
	Patches    string `json:"patches,omitempty"` // hash of the patch set
	Gofail     string `json:"gofail,omitempty"`
	Go         string `json:"go"`
	Toolchain  string `json:"toolchain"`            // GOTOOLCHAIN: with Go, what really compiles
	Experiment string `json:"experiment,omitempty"` // GOEXPERIMENT
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Recipe     int    `json:"recipe"`
}

// key is the lower-case hex SHA-256 of the inputs.
func (in Inputs) key() string {
	b, err := json.Marshal(in)
	if err != nil {
		panic(err) // strings, bools and an int: cannot happen
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// anyGo is the inputs without what depends on the installed Go.
func (in Inputs) anyGo() Inputs {
	in.Go, in.Toolchain, in.Experiment = "", "", ""
	return in
}

// DefaultDir is $XDG_CACHE_HOME/etcdlab, or ~/.cache/etcdlab. As the XDG base
// directory specification says, a relative $XDG_CACHE_HOME is ignored.
func DefaultDir() (string, error) {
	if d := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "etcdlab"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", &Error{Kind: Environment, Op: "find", Object: "cache directory",
			Reason: "no home directory", Err: err, Next: "set HOME or XDG_CACHE_HOME"}
	}
	return filepath.Join(home, ".cache", "etcdlab"), nil
}

// Package lab owns the life of a lab: what a provider must do, what a member
// can do (capabilities), how everything made for a lab is named and found
// again, and the local state. Providers live in the packages below it.
package lab

import (
	"context"

	"github.com/etcdlab/etcdlab/lab/spec"
)

// Provider makes members exist. What differs between labs beyond this is a
// capability of their members.
type Provider interface {
	Name() string
	// Up makes the lab, or brings an existing one of the same spec back to
	// what it should be: powered, linked, healed and serving. images has the
	// binaries of each member by its name. When it fails, it undoes what it
	// made. An existing lab of another spec is a *SpecChangedError, something
	// that the machine lacks an *EnvironmentError.
	Up(ctx context.Context, s *spec.Lab, images map[string]Binaries) (*Lab, error)
	// Open finds a lab that exists; ErrNotFound when there is none.
	Open(ctx context.Context, name string) (*Lab, error)
	// List finds every lab of this provider.
	List(ctx context.Context) ([]*Lab, error)
	// Down removes every trace of the lab. Nothing to remove is success.
	Down(ctx context.Context, name string) error
}

// Binaries are the paths of one etcd build.
type Binaries struct {
	Key     string `json:"key"`     // of the image cache
	Version string `json:"version"` // v3.7.3
	Etcd    string `json:"etcd"`
	Etcdctl string `json:"etcdctl"`
	Etcdutl string `json:"etcdutl"`

	Container *ContainerImage `json:"container,omitempty"` // for provider docker
	Guest     *GuestImage     `json:"guest,omitempty"`     // for provider vm
}

// ContainerImage is a container image with the agent, etcd and its tools.
type ContainerImage struct {
	Reference string `json:"reference"` // etcdlab/member:KEY
	ID        string `json:"id"`        // sha256:... of its configuration, as engines name it
	Archive   string `json:"archive"`   // as `docker save` writes it
	Arch      string `json:"arch"`
	// Lacks says, for each file system that cannot be made in it, why.
	Lacks map[string]string `json:"lacks,omitempty"`
}

// GuestImage is what a virtual machine boots: the agent is its init.
type GuestImage struct {
	Kernel  string `json:"kernel"` // bzImage or Image
	Initrd  string `json:"initrd"` // newc, not compressed; others can be appended
	Release string `json:"release"`
	Arch    string `json:"arch"`
	// Lacks are the kernel's modules that were wanted and are not there.
	Lacks []string `json:"lacks,omitempty"`
}

// Lab is a lab that exists.
type Lab struct {
	Name     string
	Provider string
	Spec     *spec.Lab
	Subnet   string    // CIDR
	Members  []Member  // in the order of the spec
	Dir      string    // local state
	TLS      *TLSFiles // nil without TLS
	// Slow is how many times longer than usual things take here, 1 or more: a
	// machine without hardware virtualization.
	Slow    float64
	Partial string // why the lab is not whole ("" is whole): what an interrupted up or a crash of etcdlab left
}

// Names are the members' names.
func (l *Lab) Names() []string {
	names := make([]string, len(l.Members))
	for i, m := range l.Members {
		names[i] = m.Name()
	}
	return names
}

// State of a member's etcd.
type State string

const (
	StateRunning State = "running"
	StateFrozen  State = "frozen"
	StateStopped State = "stopped" // exited or killed
	StateOff     State = "off"     // its disk has no power
	StateLost    State = "lost"    // its agent does not answer
)

// Info is what is known of a member; the JSON form is part of the output of
// `up` and `inspect`.
type Info struct {
	Name         string   `json:"name"`
	ClientURL    string   `json:"clientURL"`
	PeerURL      string   `json:"peerURL"`
	FailpointURL string   `json:"failpointURL,omitempty"` // "" without failpoints
	DataDir      string   `json:"dataDir"`
	LogFile      string   `json:"logFile"`
	State        State    `json:"state"`
	PID          int      `json:"pid,omitempty"`         // of etcd
	Exit         string   `json:"exit,omitempty"`        // how etcd ended, if it did
	Outside      bool     `json:"outside,omitempty"`     // a signal of neither etcd nor its agent ended it
	Broken       string   `json:"broken,omitempty"`      // how this machine failed its disk, which is no fault
	Unmountable  string   `json:"unmountable,omitempty"` // why its file system does not mount
	Version      string   `json:"version"`
	Args         []string `json:"args"` // etcd's command line
	// Settings are what Configure has set; Version and Args are of the etcd that
	// runs, whatever it was started with. SpecVersion is the lab's.
	SpecVersion string    `json:"specVersion,omitempty"`
	Settings    *Settings `json:"settings,omitempty"`
	Wiped       bool      `json:"wiped,omitempty"` // its data directory was emptied, and it was not added anew yet
}

// Member is one etcd with its own host, disk and address. What else it can do
// is found with Can.
type Member interface {
	Name() string
	Info(ctx context.Context) (Info, error)
}

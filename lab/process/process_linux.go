// Package process owns the embedded provider: members are local processes, each
// in a control group, a network namespace and on a fault disk of its own.
package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Name of this provider.
const Name = "process"

// Provider makes labs of processes. The zero value is not ready; use New.
type Provider struct {
	// Agent is the command line that runs the agent, without its flags.
	Agent []string
	// Check says what this machine lacks for the spec, before anything is
	// made.
	Check func(ctx context.Context, s *spec.Lab) error
	// Freezer forces a version of the freezer; "" is the best there is.
	Freezer string
	// Progress is told what is being done, a line each time; nil is silence.
	Progress func(format string, args ...any)
}

// New makes the provider as etcdlab itself uses it: agents run its own binary.
func New() (*Provider, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find etcdlab's own binary for the agents: %w", err)
	}
	return &Provider{Agent: []string{self, "agent"}, Check: Check}, nil
}

// Name is "process".
func (p *Provider) Name() string { return Name }

func (p *Provider) say(format string, args ...any) {
	if p.Progress != nil {
		p.Progress(format, args...)
	}
}

// local is where the labs of this provider are.
var local = lab.Local{Provider: Name, RunDir: lab.RunDir, Found: exists, Opened: opened}

// exists says whether there is anything of a lab.
func exists(name string) (bool, error) {
	found, err := discover(name)
	return found.any(), err
}

// Open finds a lab of this machine.
func (p *Provider) Open(_ context.Context, name string) (*lab.Lab, error) {
	return local.Open(name)
}

// opened is the lab that a manifest describes.
func opened(m *lab.Manifest) *lab.Lab {
	l := m.Lab()
	for _, mm := range m.Members {
		l.Members = append(l.Members, &member{Client: dial(mm, m.Spec.Disk), lab: m, made: mm})
	}
	return l
}

// List finds all labs of this machine, those that are only partly there too.
func (p *Provider) List(context.Context) ([]*lab.Lab, error) {
	names, err := labNames()
	if err != nil {
		return nil, err
	}
	return local.List(names), nil
}

// Exclusive waits for the lab and keeps others from changing it until unlock.
func (p *Provider) Exclusive(ctx context.Context, name string) (unlock func(), err error) {
	return p.lock(ctx, name)
}

func (p *Provider) lock(ctx context.Context, name string) (unlock func(), err error) {
	return lab.Lock(ctx, name, func(holder string) { p.say("waiting for lab %s, which is in use by %s", name, holder) })
}

// LogPath is the file of etcd's log of a member.
func (p *Provider) LogPath(labName, memberName string) (string, error) {
	_, mm, err := made(labName, memberName)
	return mm.LogFile, err
}

// made finds a member in its lab's manifest.
func made(labName, memberName string) (*lab.Manifest, lab.ManifestMember, error) {
	m, err := lab.ReadManifest(lab.RunDir(labName))
	if err != nil {
		return nil, lab.ManifestMember{}, fmt.Errorf("open lab %s: %w", labName, err)
	}
	for _, mm := range m.Members {
		if mm.Name == memberName {
			return m, mm, nil
		}
	}
	return nil, lab.ManifestMember{}, lab.Misuse("lab %s has no member %q; it has %v", labName, memberName, m.Names())
}

// memberDir is a member's run directory.
func memberDir(labName, memberName string) string {
	return filepath.Join(lab.RunDir(labName), memberName)
}

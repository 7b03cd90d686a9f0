// Package vm owns the provider of the same name: members are virtual machines of
// QEMU, each with an agent beside it that owns the machine, its disk and its
// network, and one inside, as its init, that owns etcd. It needs no root.
package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
)

// Name of this provider.
const Name = "vm"

// Provider makes labs of virtual machines. The zero value is not ready; use New.
type Provider struct {
	// Agent is the command line that runs AgentMain, without its flags.
	Agent []string
	// Cache is a directory for what is found out about this machine; "" is
	// nowhere.
	Cache string
	// Progress is told what is being done, a line each time; nil is silence.
	Progress func(format string, args ...any)
}

// New makes the provider as etcdlab itself uses it: agents run its own binary.
func New() (*Provider, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find etcdlab's own binary for the agents: %w", err)
	}
	p := &Provider{Agent: []string{self, "vm-agent"}}
	if dir, err := os.UserCacheDir(); err == nil {
		p.Cache = filepath.Join(dir, "etcdlab")
	}
	return p, nil
}

// Name is "vm".
func (p *Provider) Name() string { return Name }

func (p *Provider) say(format string, args ...any) {
	if p.Progress != nil {
		p.Progress(format, args...)
	}
}

// runRoot holds a directory for every lab: sockets and the manifest. It is
// beside the labs of provider process, which owns every name in lab.RunRoot that
// a lab can have. Paths of sockets are short, so an ordinary user's is not in
// the state directory.
func runRoot() string {
	if os.Geteuid() == 0 {
		return filepath.Join(lab.RunRoot, "."+Name)
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && len(dir) < 20 {
		return filepath.Join(dir, "etcdlab", Name)
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("etcdlab-%d", os.Geteuid()), Name)
}

func runDir(name string) string { return filepath.Join(runRoot(), name) }

// stateRoot holds the large and lasting files of every lab.
func stateRoot() (string, error) {
	root, err := lab.StateRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(root), Name), nil
}

// local is where the labs of this provider are.
var local = lab.Local{Provider: Name, RunDir: runDir, Found: exists, Opened: opened}

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
	l.Slow = 1
	for _, mm := range m.Members {
		if c, err := readConfig(mm.Dir); err == nil {
			l.Slow = max(l.Slow, c.Slow)
		}
		l.Members = append(l.Members, &member{MachineClient: client(m, mm), made: mm})
	}
	return l
}

// client speaks to the agent beside a member's machine.
func client(m *lab.Manifest, mm lab.ManifestMember) agent.MachineClient {
	lacks := agent.LacksOf(m.Spec.Disk.Kind, m.Spec.Disk.FS)
	delete(lacks, "Clocker") // a machine has its own
	return agent.MachineClient{Client: agent.NewClient(mm.Name, agent.At{Dir: mm.Dir}, lacks)}
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
	return lab.LockIn(ctx, runRoot(), name, func(holder string) { p.say("waiting for lab %s, which is in use by %s", name, holder) })
}

// found is what of a lab is on this machine.
type found struct {
	dirs  []string
	procs []int // agents and QEMUs
}

func (f found) any() bool { return len(f.dirs) > 0 || len(f.procs) > 0 }

// discover finds what there is of a lab, without the manifest's help where that
// is missing.
func discover(name string) (found, error) {
	var f found
	dirs, err := labDirs(name)
	if err != nil {
		return f, err
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err == nil {
			f.dirs = append(f.dirs, dir)
		}
	}
	f.procs = processes(name)
	return f, nil
}

// labDirs are where a lab's files may be: where they would be put now, and
// where the manifest says.
func labDirs(name string) ([]string, error) {
	root, err := stateRoot()
	if err != nil {
		return nil, err
	}
	dirs := []string{runDir(name), filepath.Join(root, name)}
	if m, err := lab.ReadManifest(runDir(name)); err == nil && m.StateDir != dirs[1] && filepath.Base(m.StateDir) == name {
		dirs = append(dirs, m.StateDir)
	}
	return dirs, nil
}

// labNames lists the names that anything on this machine carries.
func labNames() ([]string, error) {
	states, err := stateRoot()
	if err != nil {
		return nil, err
	}
	names := runningLabs()
	// Large files are all that is left of a lab after a reboot.
	for _, dir := range []string{runRoot(), states} {
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			return nil, fmt.Errorf("list labs: %w", err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return lab.CheckName("lab", n) != nil })
	slices.Sort(names)
	return slices.Compact(names), nil
}

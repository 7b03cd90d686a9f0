package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/images"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// labFlags are the flags that shape a lab; `up` and `run` share them.
type labFlags struct {
	file     string
	provider string
	etcd     string
	members  int
	fs       string
	disk     string
	size     string
	tls      bool
	memory   string
	kernel   string
	accel    string
	args     []string

	membersGiven func() bool
}

func (l *labFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	l.membersGiven = func() bool { return f.Changed("members") }
	f.StringVarP(&l.file, "file", "f", "", "lab file; - is stdin")
	f.StringVar(&l.provider, "provider", "", "process, docker or vm (default: process for root on Linux, else docker)")
	f.StringVar(&l.etcd, "etcd", "", "etcd version, or a local source tree (default "+images.DefaultVersion+")")
	f.IntVar(&l.members, "members", 0, "number of members (default 3)")
	f.StringVar(&l.fs, "fs", "", "file system of the members' disks: ext4, xfs or btrfs (default ext4)")
	f.StringVar(&l.disk, "disk", "", "kind of disk: fault, dm or plain (default fault)")
	f.StringVar(&l.memory, "memory", "", "memory of each machine or container, such as 512MiB")
	f.StringVar(&l.kernel, "kernel", "", "vm: the kernel image of the guests (default: of a Debian package, or the host's)")
	f.StringVar(&l.accel, "accel", "", "vm: kvm or tcg (default: kvm where a guest truly runs)")
	f.StringVar(&l.size, "disk-size", "", "size of each disk, such as 1GiB")
	f.BoolVar(&l.tls, "tls", false, "client and peer TLS, with certificates made for the lab")
	f.StringArrayVar(&l.args, "etcd-arg", nil, "flag for etcd as name=value; may be repeated")
}

// spec is the lab file, if there is one, with the flags over it and the
// defaults under it.
func (l *labFlags) spec(name string, base *spec.Lab) (*spec.Lab, error) {
	s := base
	if s == nil {
		s = &spec.Lab{}
	}
	if l.file != "" {
		var err error
		if s, err = spec.Load(l.file); err != nil {
			return nil, withCode(codeUsage, err)
		}
	}
	if name != "" {
		if l.file != "" && s.Name != "" && s.Name != name {
			return nil, withCode(codeUsage, fmt.Errorf("the lab file names the lab %q and the command line %q; use one of them", s.Name, name))
		}
		s.Name = name
	}
	if err := l.override(s); err != nil {
		return nil, withCode(codeUsage, err)
	}
	s.Default()
	if err := s.Validate(); err != nil {
		return nil, withCode(codeUsage, err)
	}
	return s, nil
}

func (l *labFlags) override(s *spec.Lab) error {
	for _, o := range []struct {
		value string
		field *string
	}{{l.provider, &s.Provider}, {l.fs, &s.Disk.FS}, {l.disk, &s.Disk.Kind}, {l.kernel, &s.Machine.Kernel}, {l.accel, &s.Machine.Accel}} {
		if o.value != "" {
			*o.field = o.value
		}
	}
	if l.membersGiven() {
		if l.members < 1 || l.members > spec.MaxMembers {
			return fmt.Errorf("--members %d: a lab has 1 to %d members", l.members, spec.MaxMembers)
		}
		s.Members = spec.Count(l.members)
	}
	if l.etcd != "" {
		s.Etcd.Use(l.etcd)
	}
	if l.memory != "" {
		size, err := spec.ParseSize(l.memory)
		if err != nil {
			return fmt.Errorf("--memory: %w", err)
		}
		s.Machine.Memory = size
	}
	if l.size != "" {
		size, err := spec.ParseSize(l.size)
		if err != nil {
			return fmt.Errorf("--disk-size: %w", err)
		}
		s.Disk.Size = size
	}
	s.TLS = s.TLS || l.tls
	for _, a := range l.args {
		name, value, ok := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if !ok || name == "" {
			return fmt.Errorf("--etcd-arg %q: want name=value", a)
		}
		if s.Etcd.Args == nil {
			s.Etcd.Args = map[string]string{}
		}
		s.Etcd.Args[name] = value
	}
	return nil
}

// Package spec owns the lab file: its types, strict decoding with positions in
// every error, defaults and validation. It is a leaf.
package spec

// What a lab file of this version starts with.
const (
	APIVersion = "etcdlab.dev/v1alpha1"
	Kind       = "Lab"
)

// What a field may be. The first of each list is the default, where there is one.
var (
	Providers = []string{"process", "docker", "vm", "remote"}
	DiskKinds = []string{"fault", "dm", "plain"}
	FSes      = []string{"ext4", "xfs", "btrfs"}
	// Profiles are the kinds of disk the fault engine can be; the last three
	// must never be scored as honest power loss.
	Profiles = []string{"honest-512", "honest-4k", "fua", "no-cache", "garbage-sector", "lying-flush", "bitrot"}
)

// Lab is a lab file.
type Lab struct {
	APIVersion string  `yaml:"apiVersion" json:"apiVersion"`
	Kind       string  `yaml:"kind" json:"kind"`
	Name       string  `yaml:"name" json:"name"`
	Provider   string  `yaml:"provider,omitempty" json:"provider,omitempty"` // process, docker, vm, remote; "" is chosen
	Etcd       Etcd    `yaml:"etcd,omitempty" json:"etcd"`
	Members    Members `yaml:"members,omitempty" json:"members"`
	Disk       Disk    `yaml:"disk,omitempty" json:"disk"`
	Network    Network `yaml:"network,omitempty" json:"network"`
	Machine    Machine `yaml:"machine,omitempty" json:"machine"`
	TLS        bool    `yaml:"tls,omitempty" json:"tls,omitempty"` // client and peer TLS with certificates of the lab's own
}

// Etcd is an etcd build and its flags, for a lab or, overriding the lab's, for
// one member. Exactly one of Version and Source is set once defaults are in.
type Etcd struct {
	Version         string            `yaml:"version,omitempty" json:"version,omitempty"`
	Source          string            `yaml:"source,omitempty" json:"source,omitempty"` // a local tree
	Failpoints      *bool             `yaml:"failpoints,omitempty" json:"failpoints,omitempty"`
	BboltFailpoints bool              `yaml:"bboltFailpoints,omitempty" json:"bboltFailpoints,omitempty"`
	Patches         []string          `yaml:"patches,omitempty" json:"patches,omitempty"` // of the sources: unified diffs, or those built in
	Args            map[string]string `yaml:"args,omitempty" json:"args,omitempty"`       // flags without the dashes
	Env             map[string]string `yaml:"env,omitempty" json:"env,omitempty"`
}

// Members is written as a count (`members: 3`, named m1 to m3) or as a list.
type Members []Member

// Member is one member of a lab file's list.
type Member struct {
	Name string `yaml:"name" json:"name"`
	Etcd Etcd   `yaml:"etcd,omitempty" json:"etcd"`
}

// Disk says what the members' data directories are on.
type Disk struct {
	Kind    string `yaml:"kind,omitempty" json:"kind,omitempty"`       // fault, dm, plain
	FS      string `yaml:"fs,omitempty" json:"fs,omitempty"`           // ext4, xfs, btrfs
	Size    Size   `yaml:"size,omitempty" json:"size,omitempty"`       // bytes
	Profile string `yaml:"profile,omitempty" json:"profile,omitempty"` // honest-512, ...
	KeepLog bool   `yaml:"keepLog,omitempty" json:"keepLog,omitempty"` // keep the whole write log, not its tail
}

// Network is the lab's own subnet.
type Network struct {
	Subnet string `yaml:"subnet,omitempty" json:"subnet,omitempty"` // CIDR, /24 to /28; "" is chosen from 198.18.0.0/15
}

// Machine sizes the members' hosts: a virtual machine, or a container's limits.
type Machine struct {
	Memory Size   `yaml:"memory,omitempty" json:"memory,omitempty"` // bytes; 0 is the provider's choice
	CPUs   int    `yaml:"cpus,omitempty" json:"cpus,omitempty"`     // 0 is the provider's choice
	Kernel string `yaml:"kernel,omitempty" json:"kernel,omitempty"` // vm: a kernel image, its modules in lib/modules beside or above it
	Accel  string `yaml:"accel,omitempty" json:"accel,omitempty"`   // vm: kvm, tcg; "" is kvm where a guest truly runs
}

// Size is a number of bytes; a lab file may write it as 1GiB, 512MiB or 64KiB.
type Size int64

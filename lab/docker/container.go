package docker

import (
	"slices"
	"strconv"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/strslice"
	"github.com/docker/go-connections/nat"
	"github.com/docker/go-units"

	"github.com/etcdlab/etcdlab/lab/spec"
)

// Ports in every container: the agent's own, and those that it passes on to
// etcd. Not etcd's numbers, as with a plain disk etcd listens in the same
// namespace.
const (
	portAgent      = 2390
	portClient     = 12379
	portFailpoints = 12381
)

// capabilities is the smallest set with which a fault disk works; everything
// else is dropped, and a plain disk needs none. Each was found by leaving it
// out.
var capabilities = strslice.StrSlice{
	"SYS_ADMIN", // mount the FUSE disk and its file system, make etcd's namespace, remount the cgroup tree to freeze etcd
	"NET_ADMIN", // the bridge and the link of that namespace
	"NET_RAW",   // the frames of that link, while rules decide about them
	"MKNOD",     // nodes of loop devices that appear after the container's start
}

// Devices of a fault disk. Loop devices come and go, so they are a rule.
var devices = []string{"/dev/fuse", "/dev/loop-control"}

const loopRule = "b 7:* rmw"

// defaultMemory bounds a member without machine.memory: enough for an etcd with
// its page cache and the disk's volatile cache, and yet an error of etcd's does
// not take the engine's machine down. In bytes.
const defaultMemory = 2 << 30

// stopSeconds is how long an agent may take to end etcd and unmount.
const stopSeconds = 20

// machine is what of the engine a container's configuration depends on.
type machine struct {
	selinux bool
	v1      bool // its freezer is cgroup v1's
}

// containerConfig is a member's container.
func containerConfig(m *member, s *spec.Lab, image string, labels map[string]string) *container.Config {
	stop := stopSeconds
	return &container.Config{
		Image: image, Hostname: m.name, Labels: labels, StopSignal: "SIGTERM", StopTimeout: &stop,
		Entrypoint: strslice.StrSlice{agentBinary, "agent", "--dir", m.paths.dir}, Cmd: strslice.StrSlice{},
		User: "0:0", WorkingDir: "/", ExposedPorts: exposed(m.ports(s)),
	}
}

func exposed(ports []int) nat.PortSet {
	set := nat.PortSet{}
	for _, p := range ports {
		set[natPort(p)] = struct{}{}
	}
	return set
}

func natPort(p int) nat.Port { return nat.Port(strconv.Itoa(p) + "/tcp") }

// hostConfig is what the container gets of its host. Never more than named
// here: no privileges, no paths, no namespaces of the host.
func hostConfig(m *member, s *spec.Lab, on machine) *container.HostConfig {
	bindings := nat.PortMap{}
	for _, p := range m.ports(s) {
		bindings[natPort(p)] = []nat.PortBinding{{HostIP: "127.0.0.1"}}
	}
	memory := int64(s.Machine.Memory)
	if memory == 0 {
		memory = defaultMemory
	}
	pids := int64(4096)
	h := &container.HostConfig{
		NetworkMode:  container.NetworkMode(networkName(m.lab)),
		PortBindings: bindings,
		// The rest of /run holds sockets and mount points of no lasting value.
		ReadonlyRootfs: true,
		Tmpfs:          map[string]string{"/run": "rw,nosuid,nodev,mode=755", "/tmp": "rw,nosuid,nodev,mode=1777"},
		Mounts:         []mount.Mount{{Type: mount.TypeVolume, Source: volumeName(m.lab, m.name), Target: m.paths.volume}},
		CapDrop:        strslice.StrSlice{"ALL"},
		SecurityOpt:    []string{"no-new-privileges:true"},
		RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyDisabled},
		LogConfig:      container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "2"}},
		Resources: container.Resources{
			Memory: memory, MemorySwap: memory, NanoCPUs: int64(s.Machine.CPUs) * 1e9, PidsLimit: &pids,
			// Lower than the engine's own only: it may not be allowed to raise one.
			Ulimits: []*units.Ulimit{{Name: "core"}},
		},
	}
	if s.Disk.Kind == "plain" {
		// A second network: the lab's own can then be taken away.
		h.NetworkMode = container.NetworkMode(controlName(m.lab))
		return h
	}
	h.CapAdd = slices.Clone(capabilities)
	for _, d := range devices {
		h.Devices = append(h.Devices, container.DeviceMapping{PathOnHost: d, PathInContainer: d, CgroupPermissions: "rwm"})
	}
	h.DeviceCgroupRules = []string{loopRule}
	// Both default profiles forbid mount(2), whatever the capabilities.
	h.SecurityOpt = append(h.SecurityOpt, "seccomp=unconfined", "apparmor=unconfined")
	if on.selinux {
		h.SecurityOpt = append(h.SecurityOpt, "label=disable") // as do SELinux's rules
	}
	return h
}

// endpoint is a member's place in the lab's network.
func endpoint(m *member) *network.EndpointSettings {
	return &network.EndpointSettings{
		IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: m.addr.container(m.index).String()},
		Aliases:    []string{m.name},
	}
}

// networking is what a container is made with: one network, as engines before
// API 1.44 take no more.
func networking(m *member, s *spec.Lab) *network.NetworkingConfig {
	if s.Disk.Kind == "plain" {
		return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{controlName(m.lab): {}}}
	}
	return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{networkName(m.lab): endpoint(m)}}
}

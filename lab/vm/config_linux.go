package vm

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Files in a member's run directory, beside the agent's socket.
const (
	configFile = "machine.json"
	portFile   = "port.sock" // the member's port of the lab's network
)

// Files in a member's state directory.
const (
	imageFile   = "disk.img"   // of a disk that is not the engine's
	recordFile  = "record.img" // what device mapper records of that
	initrdFile  = "initrd"     // the shared one with the member's own files
	consoleFile = "console.log"
	qemuLog     = "qemu.log"
	agentLog    = "agent.log"
)

// config is what the agent beside a machine is started with: machine.json in
// the member's run directory.
type config struct {
	Lab      string    `json:"lab"`
	Member   string    `json:"member"`
	StateDir string    `json:"stateDir"`
	LogFile  string    `json:"logFile"` // etcd's log, as it came from the guest
	Disk     spec.Disk `json:"disk"`

	QEMU   string  `json:"qemu"`  // the program
	Accel  string  `json:"accel"` // kvm or tcg
	Slow   float64 `json:"slow"`
	Memory int64   `json:"memory"` // bytes
	CPUs   int     `json:"cpus"`
	Kernel string  `json:"kernel"`
	Initrd string  `json:"initrd"`
	Append string  `json:"append,omitempty"` // to the kernel's command line

	IP      string        `json:"ip"`    // on the lab's network
	Peers   []peer        `json:"peers"` // the other members
	Forward []forward     `json:"forward"`
	Agent   int           `json:"agent"` // the port of the agent in the guest
	TLS     *lab.TLSFiles `json:"tls"`   // what that agent obeys

	dir   string
	extra []string // of QEMU's command line, in tests
}

// peer is another member of the lab, as a port of the network.
type peer struct {
	IP  string `json:"ip"`
	Dir string `json:"dir"`
}

// forward passes on connections from the host to a port of the guest.
type forward struct {
	Listen string `json:"listen"` // host:port
	Port   int    `json:"port"`
}

func (c *config) write(dir string) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write the configuration of machine %s: %w", c.Member, err)
	}
	if err := os.WriteFile(filepath.Join(dir, configFile), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the configuration of machine %s: %w", c.Member, err)
	}
	return nil
}

func readConfig(dir string) (*config, error) {
	path := filepath.Join(dir, configFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the machine's configuration: %w", err)
	}
	c, err := parseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("read the machine's configuration %s: %w", path, err)
	}
	c.dir = dir
	return c, nil
}

func parseConfig(data []byte) (*config, error) {
	c := new(config)
	if err := agent.Decode(data, c); err != nil {
		return nil, err
	}
	paths := map[string]string{
		"stateDir": c.StateDir, "logFile": c.LogFile, "qemu": c.QEMU, "kernel": c.Kernel, "initrd": c.Initrd,
	}
	if err := agent.CheckConfig(c.Lab, c.Member, paths); err != nil {
		return nil, err
	}
	if c.Memory < 1<<20 || c.CPUs < 1 || c.Slow < 1 || c.Agent < 1 || c.TLS == nil {
		return nil, fmt.Errorf("memory, cpus, slow, agent and tls must be set")
	}
	if _, err := macOf(c.IP); err != nil {
		return nil, err
	}
	return c, nil
}

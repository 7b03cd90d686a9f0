// Package agent owns the process beside each member: it holds the member's
// disk, starts etcd in the member's network and control group, and obeys the
// controller over HTTP with JSON bodies, on a unix socket of mode 0600 and, where
// it is in a container or a machine of its own, over mutual TLS 1.3, such as
//
//	curl --unix-socket /run/etcdlab/demo/m1/agent.sock http://agent/v1/status
//	curl --unix-socket ... -X POST http://agent/v1/freeze -d '{"deadline":"500ms"}'
//	curl --cacert ca.crt --cert controller.crt --key controller.key \
//		--connect-to agent.m1:443:127.0.0.1:PORT https://agent.m1/v1/logs?follow=true
//
// The agent itself is never frozen: only etcd is in the group that is.
package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Files in the agent's directory.
const (
	ConfigFile = "agent.json"
	socketFile = "agent.sock"
	FrontDir   = "front" // the FUSE mount
	DataMount  = "data"  // the file system of a fault disk
)

// Config is what an agent is started with: agent.json in its directory.
type Config struct {
	Lab      string   `json:"lab"`
	Member   string   `json:"member"`
	Self     []string `json:"self"`     // command line that runs this agent's binary as an agent
	StateDir string   `json:"stateDir"` // disk, logs
	NetNS    string   `json:"netns"`    // where etcd runs; "" is where the agent does
	SwitchNS string   `json:"switchNS"` // where the other end of its link is; "" as above
	Port     string   `json:"port"`     // and what that is called; "" is no link to take down
	Freezer  string   `json:"freezer,omitempty"`

	// Listen is where the agent answers beside its socket: host:port, with
	// mutual TLS 1.3; "" is nowhere. TLS is its certificate and the authority
	// of those it obeys.
	Listen string        `json:"listen,omitempty"`
	TLS    *lab.TLSFiles `json:"tls,omitempty"`
	// Forward are TCP ports that the agent opens on its own side of etcd's link.
	Forward []Forward `json:"forward,omitempty"`
	// Inside is set where the agent makes etcd's network itself, in a container.
	Inside *Inside `json:"inside,omitempty"`

	Disk spec.Disk `json:"disk"`
	// Device is the block device below a disk of kind dm, and LogDevice where its
	// writes are recorded with keepLog; "" are those of a guest.
	Device    string `json:"device,omitempty"`
	LogDevice string `json:"logDevice,omitempty"`
	// Format has the agent make a fault disk that is not there yet.
	Format  bool   `json:"format,omitempty"`
	DataDir string `json:"dataDir"`
	LogFile string `json:"logFile"`

	Etcd string `json:"etcd"` // the program
	// Tools is the directory of etcdctl and etcdutl; ClientURL and ClientTLS
	// are what they are set up with for a command that is run.
	Tools     string        `json:"tools,omitempty"`
	ClientURL string        `json:"clientURL,omitempty"`
	ClientTLS *lab.TLSFiles `json:"clientTLS,omitempty"`

	Version string   `json:"version"`
	PeerURL string   `json:"peerURL"`
	Args    []string `json:"args"`
	Env     []string `json:"env"` // all of it

	dir string
}

// Forward passes TCP connections on: what comes to Listen goes to To. While the
// link is down it neither passes anything on nor ends a connection.
type Forward struct {
	Listen string `json:"listen"` // host:port
	To     string `json:"to"`
}

// Inside is a network that the agent of a container makes in it: a bridge that
// takes over the container's own link with its address, and behind it a
// namespace for etcd with an address of its own, which can lose its link while
// the agent keeps its own.
type Inside struct {
	Link    string `json:"link"`    // the container's: eth0
	Address string `json:"address"` // etcd's, CIDR
	// Peers are the addresses of all etcds of the lab, which then need not be
	// asked for by ARP: one lost in an outage costs a second after it.
	Peers []string `json:"peers,omitempty"`
}

// DataDir is where etcd's data directory is: on the member's own disk, or for a
// plain one in the state directory.
func DataDir(kind, dir, stateDir string) string {
	if kind == "plain" {
		return filepath.Join(stateDir, "etcd")
	}
	return filepath.Join(dir, DataMount, "etcd")
}

// Socket is the path of the agent's socket in its directory.
func Socket(dir string) string { return filepath.Join(dir, socketFile) }

// Encode gives the contents of ConfigFile.
func (c *Config) Encode() ([]byte, error) {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the configuration of agent %s: %w", c.Member, err)
	}
	return append(data, '\n'), nil
}

// Write puts the configuration into the agent's directory.
func (c *Config) Write(dir string) error {
	data, err := c.Encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, ConfigFile), data, 0o600); err != nil {
		return fmt.Errorf("write the configuration of agent %s: %w", c.Member, err)
	}
	return nil
}

// readConfig reads and checks the configuration in dir.
func readConfig(dir string) (*Config, error) {
	path := filepath.Join(dir, ConfigFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the agent's configuration: %w", err)
	}
	c, err := parseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("read the agent's configuration %s: %w", path, err)
	}
	c.dir = dir
	return c, nil
}

func parseConfig(data []byte) (*Config, error) {
	c := new(Config)
	if err := Decode(data, c); err != nil {
		return nil, err
	}
	paths := map[string]string{"stateDir": c.StateDir, "dataDir": c.DataDir, "logFile": c.LogFile, "etcd": c.Etcd}
	if err := CheckConfig(c.Lab, c.Member, paths); err != nil {
		return nil, err
	}
	if len(c.Self) == 0 {
		return nil, errors.New("self must be set")
	}
	if c.Inside != nil && (c.NetNS == "" || c.SwitchNS != "" || c.Port == "") {
		return nil, errors.New("inside needs netns and port, and no switchNS")
	}
	return c, nil
}

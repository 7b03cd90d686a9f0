package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/lab/spec"
)

// Manifest is lab.json in a lab's run directory: what is needed to speak to
// its members. It is a cache; taking the lab down works without it.
type Manifest struct {
	Name     string           `json:"name"`
	Provider string           `json:"provider"`
	Created  time.Time        `json:"created"`
	Ready    bool             `json:"ready"` // the members served once: up was not interrupted
	Spec     *spec.Lab        `json:"spec"`
	Subnet   string           `json:"subnet"` // CIDR
	StateDir string           `json:"stateDir"`
	TLS      *TLSFiles        `json:"tls,omitempty"`
	Members  []ManifestMember `json:"members"`
}

// ManifestMember is one member as it was made.
type ManifestMember struct {
	Name         string   `json:"name"`
	IP           string   `json:"ip"`
	Binaries     Binaries `json:"binaries"`
	Dir          string   `json:"dir"`      // socket and mount points
	StateDir     string   `json:"stateDir"` // disk, logs, certificates
	DataDir      string   `json:"dataDir"`  // etcd's
	LogFile      string   `json:"logFile"`
	ClientURL    string   `json:"clientURL"`
	PeerURL      string   `json:"peerURL"`
	FailpointURL string   `json:"failpointURL,omitempty"`
	Args         []string `json:"args"` // etcd's command line
	Env          []string `json:"env"`
}

// Binaries are those of each member.
func (m *Manifest) Binaries() map[string]Binaries {
	of := map[string]Binaries{}
	for _, mm := range m.Members {
		of[mm.Name] = mm.Binaries
	}
	return of
}

// Names of the members.
func (m *Manifest) Names() []string {
	var names []string
	for _, mm := range m.Members {
		names = append(names, mm.Name)
	}
	return names
}

// Lab is the lab that it describes, without its members.
func (m *Manifest) Lab() *Lab {
	l := &Lab{Name: m.Name, Provider: m.Provider, Spec: m.Spec, Subnet: m.Subnet, Dir: m.StateDir, TLS: m.TLS}
	if !m.Ready {
		l.Partial = "up was interrupted before the members served"
	}
	return l
}

const manifestFile = "lab.json"

// ReadManifest reads the manifest in the run directory; ErrNotFound if it has
// none.
func ReadManifest(runDir string) (*Manifest, error) {
	path := filepath.Join(runDir, manifestFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read the lab's manifest: %w", err)
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("read the lab's manifest %s: %w (etcdlab down removes what is left of the lab)", path, err)
	}
	if m.Spec == nil || m.Name != filepath.Base(runDir) {
		return nil, fmt.Errorf("read the lab's manifest %s: it is not of lab %s (etcdlab down removes what is left of the lab)", path, filepath.Base(runDir))
	}
	return m, nil
}

// Write puts the manifest into the run directory, whole or not at all.
func (m *Manifest) Write(runDir string) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write the lab's manifest: %w", err)
	}
	path := filepath.Join(runDir, manifestFile)
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the lab's manifest: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the lab's manifest: %w", err)
	}
	return nil
}

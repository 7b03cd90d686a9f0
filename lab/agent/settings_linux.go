package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/etcdlab/etcdlab/lab"
)

// settingsFile, in the state directory, outlives the agent.
const settingsFile = "settings.json"

// readSettings takes up what an earlier agent was told.
func (a *Agent) readSettings() error {
	path := filepath.Join(a.cfg.StateDir, settingsFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read etcd's settings: %w", err)
	}
	s := new(lab.Settings)
	if err := Decode(data, s); err != nil {
		return fmt.Errorf("read etcd's settings %s: %w (remove it: the spec's hold then)", path, err)
	}
	if err := s.Check(); err != nil {
		return fmt.Errorf("read etcd's settings %s: %w (remove it: the spec's hold then)", path, err)
	}
	a.settings = s
	return nil
}

// Configure changes what the next etcd is started with.
func (a *Agent) Configure(_ context.Context, s *lab.Settings) error {
	if err := s.Check(); err != nil {
		return invalid(err)
	}
	if s != nil && s.Binaries != nil {
		if _, err := os.Stat(s.Binaries.Etcd); err != nil {
			return Invalid("start etcd of %s as %s: %v", a.cfg.Member, s.Binaries.Version, err)
		}
	}
	path := filepath.Join(a.cfg.StateDir, settingsFile)
	if err := writeSettings(path, s); err != nil {
		return fmt.Errorf("store etcd's settings: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settings = s
	return nil
}

// writeSettings stores them whole or not at all; nil removes the file.
func writeSettings(path string, s *lab.Settings) error {
	if s == nil {
		err := os.Remove(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Settings gives what Configure has set.
func (a *Agent) Settings(context.Context) (*lab.Settings, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.settings, nil
}

// sameSettings says whether an etcd that runs with one is as good as one with the
// other: what only counts for a data directory that is not there yet does not.
func sameSettings(a, b *lab.Settings) bool {
	one, err := json.Marshal(lasting(a))
	other, err2 := json.Marshal(lasting(b))
	return err == nil && err2 == nil && bytes.Equal(one, other)
}

func lasting(s *lab.Settings) lab.Settings {
	if s == nil {
		return lab.Settings{}
	}
	out := lab.Settings{Without: s.Without, Env: s.Env, Binaries: s.Binaries, Args: map[string]string{}}
	for name, value := range s.Args {
		switch name {
		case "initial-cluster", "initial-cluster-state", "initial-cluster-token":
		default:
			out.Args[name] = value
		}
	}
	if len(out.Args) == 0 {
		out.Args = nil
	}
	return out
}

// Upload stores a program of another build.
func (a *Agent) Upload(_ context.Context, key, name string, program io.Reader) (path string, err error) {
	if err := checkProgram(key, name); err != nil {
		return "", err
	}
	dir := filepath.Join(a.cfg.StateDir, "programs", key)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("store %s: %w", name, err)
	}
	path = filepath.Join(dir, name)
	f, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return "", fmt.Errorf("store %s: %w", name, err)
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, program)
	// A program that is run now may be the same; it keeps the old file.
	if err = errors.Join(err, f.Chmod(0o700), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", fmt.Errorf("store %s: %w", name, err)
	}
	return path, nil
}

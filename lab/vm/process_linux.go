package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/agent"
)

// settingsFile, in the state directory, has what a guest forgets with its memory.
const settingsFile = "settings.json"

// programsDir keeps the programs that a guest was given, for the same reason.
const programsDir = "programs"

func (h *host) Signal(ctx context.Context, name string) error {
	guest, err := h.inside("send " + name + " to etcd")
	if err != nil {
		return err
	}
	return guest.Signal(ctx, name)
}

// Configure tells the guest, and every later boot of it.
func (h *host) Configure(ctx context.Context, s *lab.Settings) error {
	guest, err := h.inside("configure etcd")
	if err != nil {
		return err
	}
	if err := guest.Configure(ctx, s); err != nil {
		return err
	}
	path := filepath.Join(h.c.StateDir, settingsFile)
	if s == nil {
		err = os.Remove(path)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	} else {
		var data []byte
		if data, err = json.Marshal(s); err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
	}
	if err != nil {
		return fmt.Errorf("keep etcd's settings: %w", err)
	}
	return nil
}

// settings are those kept, nil without.
func (h *host) settings() (*lab.Settings, error) {
	data, err := os.ReadFile(filepath.Join(h.c.StateDir, settingsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := new(lab.Settings)
	return s, agent.Decode(data, s)
}

func (h *host) Settings(context.Context) (*lab.Settings, error) { return h.settings() }

// remind tells a guest that has booted what it was told before.
func (h *host) remind(ctx context.Context, guest *agent.Client) error {
	s, err := h.settings()
	if err != nil || s == nil {
		return err
	}
	if b := s.Binaries; b != nil {
		for _, name := range []string{"etcd", "etcdctl", "etcdutl"} {
			f, err := os.Open(filepath.Join(h.c.StateDir, programsDir, b.Key, name))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			_, err = guest.Upload(ctx, b.Key, name, f)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
		}
	}
	return guest.Configure(ctx, s)
}

// Upload keeps the program and brings it to the guest.
func (h *host) Upload(ctx context.Context, key, name string, program io.Reader) (string, error) {
	guest, err := h.inside("upload " + name)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(h.c.StateDir, programsDir, key)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(f, program); err != nil {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	return guest.Upload(ctx, key, name, f)
}

func (h *host) Wipe(ctx context.Context) error {
	guest, err := h.inside("empty the data directory")
	if err != nil {
		return err
	}
	return guest.Wipe(ctx)
}

func (h *host) RestoreSnapshot(ctx context.Context, snapshot io.Reader, how lab.Restoring) error {
	guest, err := h.inside("restore a snapshot")
	if err != nil {
		return err
	}
	return guest.RestoreSnapshot(ctx, snapshot, how)
}

// SetLimits does not outlive the guest.
func (h *host) SetLimits(ctx context.Context, l lab.Limits) error {
	guest, err := h.inside("limit etcd")
	if err != nil {
		return err
	}
	return guest.SetLimits(ctx, l)
}

func (h *host) Limits(ctx context.Context) (lab.Limited, error) {
	guest, err := h.inside("look at the limits of etcd")
	if err != nil {
		return lab.Limited{}, err
	}
	return guest.Limits(ctx)
}

func (h *host) SetClock(ctx context.Context, c lab.Clock) error {
	guest, err := h.inside("set the clock")
	if err != nil {
		return err
	}
	return guest.SetClock(ctx, c)
}

func (h *host) Clock(ctx context.Context) (lab.Clock, error) {
	guest, err := h.inside("read the clock")
	if err != nil {
		return lab.Clock{}, err
	}
	return guest.Clock(ctx)
}

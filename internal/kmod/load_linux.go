package kmod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Load loads a module of this guest, and first what it needs. On a machine that
// is no guest, only what its kernel already has can be asked for.
func Load(name string) error {
	if loaded(name) {
		return nil
	}
	text, err := os.ReadFile(ListFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("load module %s: this machine is no guest of etcdlab's (no %s); load it with modprobe", name, ListFile)
	}
	if err != nil {
		return err
	}
	l, err := Parse(text)
	if err != nil {
		return err
	}
	order, err := l.Order(name)
	if err != nil {
		return err
	}
	return Insert(order)
}

// loaded tells of modules, not of what is part of the kernel without parameters.
func loaded(name string) bool {
	state, err := os.ReadFile(filepath.Join("/sys/module", Name(name), "initstate"))
	return err == nil && strings.TrimSpace(string(state)) == "live"
}

// Insert loads the modules one after another. One that is there already is fine.
func Insert(modules []Module) error {
	for _, m := range modules {
		if err := insert(filepath.Join(filepath.Dir(ListFile), m.File)); err != nil {
			return fmt.Errorf("load module %s: %w", m.Name, err)
		}
	}
	return nil
}

func insert(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		err := unix.FinitModule(int(f.Fd()), "", 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EEXIST) {
			return nil
		}
		return err
	}
}

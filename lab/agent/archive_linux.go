package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// freezeForArchive bounds the freeze of an etcd that runs.
const freezeForArchive = 5 * time.Second

// Archive writes a tar of the data directory. An etcd that runs is frozen for
// that time. The files are read by a child process: this one serves the disk
// they are on.
func (a *Agent) Archive(ctx context.Context, w io.Writer) (how string, err error) {
	if a.disk != nil && !a.disk.isMounted() {
		return "", Conflict("archive the data of %s: its disk is not mounted", a.cfg.Member)
	}
	// What is still mounted of it is the cache of a machine that lost its power.
	if a.unpowered() {
		return "", Conflict("archive the data of %s: its disk has no power; restore it first", a.cfg.Member)
	}
	how = "stopped"
	if a.current().alive() {
		how = "frozen"
		if a.status().State != lab.StateFrozen {
			defer func() { _ = a.Thaw(context.WithoutCancel(ctx)) }()
		}
		f, err := a.Freeze(ctx, freezeForArchive)
		if err == nil && !f.Observed {
			err = fmt.Errorf("archive the data of %s: etcd was not seen frozen within %v: %d tasks are blocked in I/O", a.cfg.Member, freezeForArchive, f.Blocked)
		}
		if err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, a.cfg.Self[0], append(a.cfg.Self[1:len(a.cfg.Self):len(a.cfg.Self)], helperTar, a.cfg.DataDir)...)
	cmd.WaitDelay = time.Second
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &complaint
	if err := cmd.Run(); err != nil {
		return how, fmt.Errorf("archive the data of %s: %w: %s", a.cfg.Member, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return how, nil
}

// tarDir is the child: it writes the directory to w, names relative to it.
func tarDir(dir string, w io.Writer) error {
	t := tar.NewWriter(w)
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == "." {
			return err
		}
		if !info.Mode().IsRegular() && !info.IsDir() {
			return nil // a socket; etcd's data has no links
		}
		h, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		h.Name = filepath.ToSlash(name)
		if info.IsDir() {
			h.Name += "/"
		}
		if err := t.WriteHeader(h); err != nil || info.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(t, f)
		return err
	})
	return errors.Join(err, t.Close())
}

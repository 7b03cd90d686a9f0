package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/lab"
)

// wipedFile, in a data directory that was emptied, is on the member's own disk, so
// that it shares that disk's fate.
const wipedFile = "etcdlab-wiped"

// lookWiped looks at a disk that was mounted.
func (a *Agent) lookWiped() {
	a.lookDamaged()
	_, err := os.Lstat(filepath.Join(a.cfg.DataDir, wipedFile))
	a.setWiped(err == nil)
}

func (a *Agent) setWiped(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wiped = on
}

// unmark takes the mark off.
func (a *Agent) unmark() error {
	if err := os.Remove(filepath.Join(a.cfg.DataDir, wipedFile)); err != nil {
		return err
	}
	a.setWiped(false)
	return syncFS(a.cfg.DataDir)
}

// mayStart refuses an etcd without its data under its old ID, and takes the mark
// off one that is added anew.
func (a *Agent) mayStart(s *lab.Settings) error {
	if !a.status().Wiped {
		return nil
	}
	if s == nil || s.Args["initial-cluster-state"] != "existing" {
		return Conflict("start etcd of %s: its disk was emptied, and it was not added to the cluster anew; etcdlab heal does that", a.cfg.Member)
	}
	return a.unmark()
}

// dataFree says why the data directory cannot be replaced now.
func (a *Agent) dataFree(what string) error {
	switch {
	case a.current().alive():
		return Conflict("%s of %s: etcd runs; kill it first", what, a.cfg.Member)
	case a.unpowered():
		return Conflict("%s of %s: its disk has no power; restore it first", what, a.cfg.Member)
	case a.disk != nil && !a.disk.isMounted():
		return Conflict("%s of %s: its disk is not mounted", what, a.cfg.Member)
	}
	return nil
}

// Wipe empties the data directory.
func (a *Agent) Wipe(context.Context) error {
	if err := a.dataFree("empty the data directory"); err != nil {
		return err
	}
	if err := a.wipe(); err != nil {
		return fmt.Errorf("empty the data directory of %s: %w", a.cfg.Member, err)
	}
	return nil
}

// wipe marks the directory before it takes anything away. With its data goes what
// it was told for the start with them.
func (a *Agent) wipe() error {
	dir := a.cfg.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, wipedFile), nil, 0o600); err != nil {
		return err
	}
	if err := syncFS(dir); err != nil {
		return err
	}
	a.setWiped(true)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != wipedFile {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err = errors.Join(err, syncFS(dir)); err != nil {
		return err
	}
	a.mu.Lock()
	s := a.settings
	a.mu.Unlock()
	if s == nil || s.Args["initial-cluster-state"] == "" {
		return nil
	}
	kept := lasting(s)
	return a.Configure(context.Background(), &kept)
}

// syncFS has the file system of a directory write everything.
func syncFS(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// RestoreSnapshot makes the data directory anew of a snapshot, beside the old one
// until it is whole.
func (a *Agent) RestoreSnapshot(ctx context.Context, snapshot io.Reader, how lab.Restoring) (err error) {
	if err := a.dataFree("restore a snapshot"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore a snapshot of %s: %w", a.cfg.Member, err)
		}
	}()
	file := filepath.Join(a.cfg.StateDir, "restore.snapshot")
	defer os.Remove(file)
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, snapshot)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	fresh := a.cfg.DataDir + ".restored"
	defer os.RemoveAll(fresh)
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := a.etcdutl(ctx, file, fresh, how); err != nil {
		return err
	}
	if err := syncFS(fresh); err != nil {
		return err
	}
	if err := a.wipe(); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(fresh, "member"), filepath.Join(a.cfg.DataDir, "member")); err != nil {
		return err
	}
	if err := syncFS(a.cfg.DataDir); err != nil {
		return err
	}
	return a.unmark()
}

// etcdutl runs the member's own. It is a file's snapshot, without the hash that
// `etcdctl snapshot save` checks, if it was copied from a data directory.
func (a *Agent) etcdutl(ctx context.Context, file, dir string, how lab.Restoring) error {
	s, _ := a.Settings(ctx)
	c := a.cfg.with(s)
	argv := []string{
		"etcdutl", "snapshot", "restore", file, "--data-dir=" + dir, "--name=" + a.cfg.Member,
		"--initial-cluster=" + how.Cluster, "--initial-cluster-token=" + how.Token,
		"--initial-advertise-peer-urls=" + a.cfg.PeerURL,
	}
	if how.BumpRevision > 0 {
		argv = append(argv, "--bump-revision="+strconv.FormatUint(how.BumpRevision, 10), "--mark-compacted")
	}
	var said bytes.Buffer
	run := &Command{Member: a.cfg.Member, Tools: c.Tools, Argv: argv, Out: &said, Err: &said, Group: true}
	exit, err := run.Run(ctx)
	if err == nil && exit != 0 {
		err = fmt.Errorf("etcdutl ended with status %d: %s", exit, bytes.TrimSpace(said.Bytes()))
	}
	return err
}

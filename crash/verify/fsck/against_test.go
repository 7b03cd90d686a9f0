package fsck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/internal/freeport"
)

// cluster runs three members under load, kills one after the other, and gives
// their data directories.
func cluster(t *testing.T, version string) []string {
	t.Helper()
	peers := make([]string, 3)
	var initial []string
	for i := range peers {
		peers[i] = "http://" + freeport.Address(t)
		initial = append(initial, fmt.Sprintf("m%d=%s", i+1, peers[i]))
	}
	root := t.TempDir()
	var dirs []string
	var members []*server
	for i, peer := range peers {
		dir := filepath.Join(root, fmt.Sprintf("m%d", i+1))
		dirs = append(dirs, dir)
		members = append(members, launch(t, version, dir, fmt.Sprintf("--name=m%d", i+1), "--snapshot-count=300",
			"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster="+strings.Join(initial, ",")))
	}
	members[0].await()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := members[0].client.RoleAdd(ctx, "reader"); err != nil {
		t.Fatal(err)
	}
	if _, err := members[0].client.UserAdd(ctx, "ann", "secret"); err != nil {
		t.Fatal(err)
	}
	if _, err := members[0].client.Grant(ctx, 3600); err != nil {
		t.Fatal(err)
	}
	members[0].load(ctx, 1, 150)
	for i := range 60 {
		if _, err := members[0].client.Put(ctx, fmt.Sprintf("plain/%d", i), fmt.Sprintf("value-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond)
	members[1].stop(syscall.SIGKILL)
	_, _ = members[0].client.Put(ctx, "later", "1", clientv3.WithIgnoreLease())
	members[0].load(ctx, 2, 20)
	members[2].stop(syscall.SIGTERM)
	members[0].stop(syscall.SIGKILL)
	return dirs
}

func TestAgainst(t *testing.T) {
	dirs := cluster(t, "v3.7.3")
	for i, dir := range dirs {
		others := []string{dirs[(i+1)%3], dirs[(i+2)%3]}
		if r := check(t, dir, others...); r.Verdict != Pass {
			t.Fatalf("clean members differ: %s", show(r))
		}
	}
	// The log is hidden from the check, so that only the others can tell.
	l := lay(t, dirs[1])
	i := len(l.store.records) - 1
	for !strings.HasPrefix(l.store.keys[l.store.records[i].key], "plain/") {
		i--
	}
	rec := &l.store.records[i]
	b := at(t, l.db, rec.off, 100)
	off := rec.off + int64(strings.Index(string(b), "value-"))
	undo := flip(t, l.db, off, 1)
	r := check(t, dirs[1], dirs[0])
	if want := (wanted{dbFile, "against", rec.off, rec.off, "these two members differ"}); r.Verdict != Fail || !want.in(r) {
		t.Errorf("of two: %s", show(r))
	}
	r = check(t, dirs[1], dirs[0], dirs[2])
	if want := (wanted{dbFile, "against", rec.off, rec.off, dirs[1] + " is the odd one out"}); r.Verdict != Fail || !want.in(r) {
		t.Errorf("of three: %s", show(r))
	}
	undo()

	// A user's roles at the same revision of auth.
	db, err := os.ReadFile(l.db)
	if err != nil {
		t.Fatal(err)
	}
	for at := strings.Index(string(db), "$2a$"); at >= 0; {
		undo := flip(t, l.db, int64(at)+20, 1)
		r := check(t, dirs[1], dirs[0], dirs[2])
		undo()
		if r.Verdict == Fail && strings.Contains(show(r), "users and roles differ") {
			break
		}
		next := strings.Index(string(db[at+1:]), "$2a$")
		if next < 0 {
			t.Errorf("a changed password is not found: %s", show(r))
			break
		}
		at += 1 + next // the page before was free
	}

	other := filepath.Join(t.TempDir(), "data")
	s := start(t, "v3.7.3", other)
	s.stop(syscall.SIGTERM)
	_, err = Check(t.Context(), Options{Dir: dirs[0], Against: []string{other}})
	if !errors.As(err, new(*UsageError)) {
		t.Errorf("another cluster: %v", err)
	}
}

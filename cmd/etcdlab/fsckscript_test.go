package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdlab/etcdlab/images"
)

// cachedEtcd is the default release in the machine's cache, "" without one.
func cachedEtcd(ctx context.Context) string {
	dir, err := images.DefaultDir()
	if err != nil {
		return ""
	}
	store, err := images.Open(dir)
	if err != nil {
		return ""
	}
	img, found, err := store.Find(ctx, images.Request{Version: images.DefaultVersion})
	if err != nil || !found {
		return ""
	}
	return img.Binaries["etcd"]
}

// dataDir makes the data directory of a real etcd that was killed: keys k0, k1
// and k2 with the values value-0, value-1 and value-2, at the revisions 2 to 4.
func dataDir(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: datadir DIR")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	client, err := freeURL()
	ts.Check(err)
	peer, err := freeURL()
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	cmd := exec.Command(cachedEtcd(ctx), "--name=m1", "--data-dir="+dir, "--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=m1="+peer)
	ts.Check(cmd.Start())
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	}()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{client}, Logger: zap.NewNop()})
	ts.Check(err)
	defer c.Close()
	for i := range 3 {
		_, err := c.Put(ctx, fmt.Sprintf("k%d", i), fmt.Sprintf("value-%d", i))
		ts.Check(err)
	}
	if err := ts.Exec("etcdlab", "fsck", dir); err == nil {
		ts.Fatalf("fsck reads a directory in which etcd runs")
	}
	time.Sleep(time.Second) // until etcd has committed its batch to the db
}

func freeURL() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return "http://" + l.Addr().String(), l.Close()
}

// spoil replaces the last occurrence of bytes in a file, in place.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 || len(args[1]) != len(args[2]) {
		ts.Fatalf("usage: spoil FILE BYTES AS-MANY-BYTES")
	}
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	at := bytes.LastIndex(b, []byte(args[1]))
	if at < 0 {
		ts.Fatalf("%s does not hold %s", args[0], args[1])
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	ts.Check(err)
	_, err = f.WriteAt([]byte(args[2]), int64(at))
	ts.Check(errors.Join(err, f.Close()))
}

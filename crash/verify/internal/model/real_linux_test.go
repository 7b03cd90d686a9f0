package model

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdlab/etcdlab/images/imagetest"
	"github.com/etcdlab/etcdlab/internal/freeport"
)

// etcd is one real etcd process with nothing in it.
type etcd struct {
	*clientv3.Client
	dir string
	cmd *exec.Cmd
}

func startEtcd(t *testing.T) *etcd {
	bin := imagetest.Etcd(t, os.Getenv("ETCDLAB_ETCD")).Binaries["etcd"]
	e := &etcd{dir: filepath.Join(t.TempDir(), "data")}
	client, peer := "http://"+freeport.Address(t), "http://"+freeport.Address(t)
	e.cmd = exec.Command(bin, "--name", "m1", "--data-dir", e.dir, "--listen-client-urls", client,
		"--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--initial-cluster", "m1="+peer, "--unsafe-no-fsync", "--heartbeat-interval", "50", "--election-timeout", "500")
	log, err := os.Create(filepath.Join(t.TempDir(), "etcd.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.stop(syscall.SIGKILL) })
	e.Client, err = clientv3.New(clientv3.Config{Endpoints: []string{client}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Client.Close() })
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err = e.Get(ctx, "x")
		cancel()
		if err == nil {
			return e
		}
	}
	b, _ := os.ReadFile(log.Name())
	t.Fatalf("etcd does not serve: %v\n%s", err, b)
	return nil
}

func (e *etcd) stop(s syscall.Signal) {
	if e.cmd.ProcessState == nil {
		_ = e.cmd.Process.Signal(s)
		_, _ = e.cmd.Process.Wait()
		e.cmd.ProcessState = &os.ProcessState{}
	}
}

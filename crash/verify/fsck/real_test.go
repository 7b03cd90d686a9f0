package fsck

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
	"github.com/etcdlab/etcdlab/images/imagetest"
	"github.com/etcdlab/etcdlab/internal/freeport"
)

// TestMain lets the test binary be the child that bbolt runs in.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "inspect-data" {
		os.Exit(datadir.ChildMain(os.Args[2:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func check(t testing.TB, dir string, against ...string) *Result {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Check(context.Background(), Options{Dir: dir, Against: against, Exe: []string{exe, "inspect-data"}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// server is a real etcd of one member.
type server struct {
	t      testing.TB
	cmd    *exec.Cmd
	client *clientv3.Client
	log    strings.Builder
	defrag bool
}

// start runs etcd on a data directory, and waits until it serves.
func start(t testing.TB, version, dir string, args ...string) *server {
	t.Helper()
	peer := "http://" + freeport.Address(t)
	s := launch(t, version, dir, append([]string{
		"--name=m1", "--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=m1=" + peer,
	}, args...)...)
	s.await()
	return s
}

// await puts until it works.
func (s *server) await() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	if _, err := s.client.Put(ctx, "up", "1"); err != nil {
		s.t.Fatalf("etcd does not serve: %v\n%s", err, s.log.String())
	}
}

// launch starts an etcd.
func launch(t testing.TB, version, dir string, args ...string) *server {
	t.Helper()
	bin := imagetest.Etcd(t, version).Binaries["etcd"]
	// Up to v3.5.5 a crash after a defragmentation leaves a consistent index that
	// is too old: etcd issue 14685, which fsck finds.
	s := &server{t: t, defrag: version != "v3.5.5"}
	client := "http://" + freeport.Address(t)
	s.cmd = exec.Command(bin, append([]string{
		"--data-dir=" + dir, "--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--heartbeat-interval=20", "--election-timeout=200",
	}, args...)...)
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(syscall.SIGKILL) })
	var err error
	s.client, err = clientv3.New(clientv3.Config{Endpoints: []string{client}, Logger: zap.NewNop(), DialTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) stop(sig syscall.Signal) {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Signal(sig)
	_ = s.cmd.Wait()
	_ = s.client.Close()
}

// load writes everything that etcd can write, n operations by each of four
// clients, until then or until ctx ends.
func (s *server) load(ctx context.Context, seed uint64, n int) {
	var g errgroup.Group
	for client := range 4 {
		g.Go(func() error {
			r := rand.New(rand.NewPCG(seed, uint64(client)))
			for i := range n {
				if ctx.Err() != nil {
					return nil
				}
				s.one(ctx, r, fmt.Sprintf("%d.%d.%d", seed, client, i))
			}
			return nil
		})
	}
	_ = g.Wait()
}

// one does an operation. Errors are expected: leases run out, etcd is killed.
func (s *server) one(ctx context.Context, r *rand.Rand, value string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c := s.client
	key := fmt.Sprintf("key/%d", r.IntN(60))
	put := clientv3.OpPut(key, value)
	switch p := r.IntN(100); {
	case p < 50:
		_, _ = c.Put(ctx, key, value+strings.Repeat("x", r.IntN(300)))
	case p < 60:
		_, _ = c.Put(ctx, "same", "same") // the same bytes again and again
	case p < 75: // half of them fail
		_, _ = c.Txn(ctx).If(clientv3.Compare(clientv3.Version(key), ">", int64(r.IntN(6)))).
			Then(put, clientv3.OpDelete("key/1", clientv3.WithRange("key/2")), clientv3.OpGet(key)).
			Else(clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.Version(key), "=", 0)}, []clientv3.Op{put}, []clientv3.Op{clientv3.OpGet(key)})).Commit()
	case p < 83:
		_, _ = c.Delete(ctx, key)
	case p < 86:
		_, _ = c.Delete(ctx, fmt.Sprintf("key/%d", r.IntN(6)), clientv3.WithPrefix())
	case p < 92:
		if l, err := c.Grant(ctx, int64(1+r.IntN(60))); err == nil {
			_, _ = c.Put(ctx, key, value, clientv3.WithLease(l.ID))
			if r.IntN(2) == 0 {
				_, _ = c.Revoke(ctx, l.ID)
			}
			_, _ = c.Put(ctx, key, value+"late", clientv3.WithLease(l.ID))
		}
	case p < 94:
		_, _ = c.Put(ctx, key, "", clientv3.WithIgnoreValue())
	case p < 96:
		_, _ = c.Put(ctx, key, value, clientv3.WithIgnoreLease())
	case p < 98:
		if g, err := c.Get(ctx, "up"); err == nil && r.IntN(8) == 0 {
			_, _ = c.Compact(ctx, g.Header.Revision-int64(r.IntN(200)))
		}
	case p < 99:
		_, _ = c.MemberList(ctx)
	default:
		if s.defrag && r.IntN(20) == 0 {
			_, _ = c.Defragment(ctx, c.Endpoints()[0])
		}
	}
}

var releases = []string{"v3.5.5", "v3.6.14", "v3.7.3"}

// TestClean wants nothing said against directories that nothing happened to but
// stops, clean ones and kills at any moment, and restarts after both.
func TestClean(t *testing.T) {
	for _, version := range releases {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			matched := 0
			for round, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
				s := start(t, version, dir, "--snapshot-count=300")
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(700+rand.IntN(600))*time.Millisecond)
				done := make(chan struct{})
				go func() { s.load(ctx, uint64(round), 1<<20); close(done) }()
				if sig == syscall.SIGTERM {
					<-done
				} else {
					time.Sleep(time.Duration(600+rand.IntN(400)) * time.Millisecond)
				}
				s.stop(sig)
				cancel()
				<-done
				r := check(t, dir)
				if r.Verdict != Pass {
					keep := filepath.Join(os.TempDir(), "fsck-"+version+"-"+t.Name()[len("TestClean/"):])
					_ = os.RemoveAll(keep)
					_ = os.CopyFS(keep, os.DirFS(dir))
					t.Fatalf("round %d: %+v\nkept as %s", round, r, keep)
				}
				t.Logf("round %d: %+v %q", round, r.Facts, r.Notes)
				matched += r.Facts.Matched
			}
			if matched == 0 {
				t.Error("no revision was compared with the log")
			}
		})
	}
}

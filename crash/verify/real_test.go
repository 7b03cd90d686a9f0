package verify

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/images/imagetest"
	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/internal/freeport"
)

// realMember is one etcd process.
type realMember struct {
	name, client, peer, dir string
	cmd                     *exec.Cmd
	log                     *os.File
	etcd                    *clientv3.Client
}

// realCluster runs a real etcd, of the version that ETCDLAB_ETCD names or the default.
type realCluster struct {
	t       *testing.T
	dir     string
	bin     string
	members []*realMember
	mu      sync.Mutex
	events  []history.Event
}

func freeAddr(t *testing.T) string {
	return "http://" + freeport.Address(t)
}

func (c *realCluster) event(kind history.EventKind, member string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, history.Event{Time: clock.Now(), Kind: kind, Round: 1, Member: member})
}

func (c *realCluster) start(m *realMember) {
	var all []string
	for _, o := range c.members {
		all = append(all, o.name+"="+o.peer)
	}
	m.cmd = exec.Command(c.bin, "--name", m.name, "--data-dir", m.dir, "--listen-client-urls", m.client,
		"--advertise-client-urls", m.client, "--listen-peer-urls", m.peer, "--initial-advertise-peer-urls", m.peer,
		"--initial-cluster", strings.Join(all, ","), "--snapshot-count", "200", "--heartbeat-interval", "100", "--election-timeout", "1000")
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	m.cmd.SysProcAttr = dieWithTest()
	if err := m.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.event(history.EventStarted, m.name)
}

func (c *realCluster) kill(m *realMember) {
	_ = m.cmd.Process.Kill()
	_, _ = m.cmd.Process.Wait()
	c.event(history.EventKilled, m.name)
}

func (c *realCluster) serving(m *realMember) {
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := m.etcd.Get(ctx, "x")
		cancel()
		if err == nil {
			c.event(history.EventServing, m.name)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	c.t.Fatalf("%s does not serve", m.name)
}

// load runs closed-loop clients that record what rungen's do.
func (c *realCluster) load(run *history.Run, w *history.Writer, ops int) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := uint64(0)
	for client := range int32(8) {
		r := rand.New(rand.NewPCG(uint64(client), 9))
		m := c.members[int(client)%len(c.members)]
		wg.Go(func() {
			for {
				mu.Lock()
				next++
				id := next
				mu.Unlock()
				if id > uint64(ops) {
					return
				}
				op := realOp(r, run, id, client)
				ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
				op.Invoke = clock.Now()
				resp, err := m.etcd.Do(ctx, realRequest(op))
				op.Return = clock.Now()
				cancel()
				if err != nil {
					op.Error = err.Error()
				} else {
					realAnswer(op, resp)
				}
				if err := w.Append(op); err != nil {
					c.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// final waits for equal applied indexes, hashes, and copies the data of frozen
// processes.
func (c *realCluster) final(run *history.Run) *history.Final {
	final := &history.Final{}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	status := func(m *realMember) *clientv3.StatusResponse {
		s, err := m.etcd.Status(ctx, m.client)
		if err != nil {
			c.t.Fatal(err)
		}
		return s
	}
	for same := false; !same; time.Sleep(10 * time.Millisecond) {
		same = true
		for _, m := range c.members {
			same = same && status(m).RaftAppliedIndex == status(c.members[0]).RaftAppliedIndex
		}
	}
	for _, m := range c.members {
		s := status(m)
		if _, err := pb.NewMaintenanceClient(m.etcd.ActiveConnection()).Hash(ctx, &pb.HashRequest{}); err != nil {
			c.t.Fatal(err)
		}
		h, err := m.etcd.HashKV(ctx, m.client, s.Header.Revision)
		if err != nil {
			c.t.Fatal(err)
		}
		final.Members = append(final.Members, history.FinalMember{
			Name: m.name, Serving: true, Revision: s.Header.Revision, AppliedIndex: s.RaftAppliedIndex, Data: "frozen",
			HashRevision: s.Header.Revision, Hash: h.Hash, CompactRevision: h.CompactRevision,
		})
		_ = m.cmd.Process.Signal(syscall.SIGSTOP)
		if err := os.CopyFS(history.Dir(c.dir).Data(m.name), os.DirFS(m.dir)); err != nil {
			c.t.Fatal(err)
		}
		_ = m.cmd.Process.Signal(syscall.SIGCONT)
	}
	final.Time = clock.Now()
	return final
}

// newRealCluster starts three members; they end with the test.
func newRealCluster(t *testing.T) (*realCluster, *history.Run) {
	bin := imagetest.Etcd(t, os.Getenv("ETCDLAB_ETCD")).Binaries["etcd"]
	c := &realCluster{t: t, dir: t.TempDir(), bin: bin}
	run := &history.Run{ID: "00112233aabbccdd", Prefix: "/etcdlab/00112233aabbccdd/", Etcd: "v3.7.3", Start: clock.Now(), Rounds: 1, Fault: "kill"}
	for i := range 3 {
		m := &realMember{name: fmt.Sprintf("m%d", i+1), client: freeAddr(t), peer: freeAddr(t)}
		m.dir = filepath.Join(t.TempDir(), m.name)
		if err := os.MkdirAll(filepath.Dir(history.Dir(c.dir).Log(m.name)), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if m.log, err = os.Create(history.Dir(c.dir).Log(m.name)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.log.Close() })
		if m.etcd, err = clientv3.New(clientv3.Config{Endpoints: []string{m.client}, Logger: zap.NewNop()}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.etcd.Close() })
		c.members = append(c.members, m)
		run.Members = append(run.Members, history.Member{Name: m.name})
	}
	for _, m := range c.members {
		c.start(m)
		t.Cleanup(func() { c.kill(m) })
	}
	for _, m := range c.members {
		c.serving(m)
	}
	var resp *clientv3.PutResponse
	var err error
	for range 10 { // on a busy machine the leader may change in between
		if resp, err = c.members[0].etcd.Put(context.Background(), "/someone/else", "1"); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	run.Base.Revision = resp.Header.Revision
	for i, m := range c.members {
		s, err := m.etcd.Status(context.Background(), m.client)
		if err != nil {
			t.Fatal(err)
		}
		run.Members[i].ID = s.Header.MemberId
		run.Members[i].ClientURL = m.client
	}
	return c, run
}

// crashRound kills members, starts them again and waits until they serve.
func (c *realCluster) crashRound(members []*realMember) {
	c.event(history.EventRoundStart, "")
	for _, m := range members {
		c.kill(m)
	}
	for _, m := range members {
		c.start(m)
	}
	for _, m := range members {
		c.serving(m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, history.Event{Time: clock.Now(), Kind: history.EventRoundEnd, Round: 1, Figures: &history.Figures{Fault: "kill", Observed: true}})
}

// TestRealEtcd judges a run of a real etcd, killed whole in the middle.
func TestRealEtcd(t *testing.T) {
	c, run := newRealCluster(t)
	f, err := os.Create(history.Dir(c.dir).Path(history.FileOps))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := history.NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { c.load(run, w, 6000) })
	for w.Count() < 1500 {
		time.Sleep(time.Millisecond)
	}
	c.crashRound(c.members)
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	final := c.final(run)
	c.event(history.EventRunEnd, "")
	if err := writeAll(c.dir, run, final, c.events); err != nil {
		t.Fatal(err)
	}
	v := judge(t, c.dir, child(t))
	t.Log(show(v))
	if v.Verdict != Pass {
		if keep := os.Getenv("ETCDLAB_KEEP"); keep != "" {
			_ = os.CopyFS(keep, os.DirFS(c.dir))
		}
		t.Fatal("a real etcd does not pass")
	}
}

func writeAll(dir string, run *history.Run, final *history.Final, events []history.Event) error {
	if err := history.WriteRun(dir, run); err != nil {
		return err
	}
	if err := history.WriteFinal(dir, final); err != nil {
		return err
	}
	f, err := os.Create(history.Dir(dir).Path(history.FileEvents))
	if err != nil {
		return err
	}
	defer f.Close()
	for i := range events {
		if err := history.AppendEvent(io.Writer(f), &events[i]); err != nil {
			return err
		}
	}
	return nil
}

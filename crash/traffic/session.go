package traffic

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/etcdlab/etcdlab/crash/history"
)

// keeperIDs is how far apart a client and the one that keeps its sessions alive
// beside it are numbered.
const keeperIDs = 1 << 20

// mostKeepAlives bounds those of one session: a run that leaves one behind
// leaves a lease that ends.
const mostKeepAlives = 30

// session is a lease with a client for the concurrency package, which asks
// through spies: what it does not tell its callers is read from the answers,
// and its keep-alives are operations of the history like any other.
type session struct {
	*concurrency.Session
	id     int64
	spy    *spyKV
	cancel context.CancelFunc // of the client's own context
}

// openSession grants a lease and begins to keep it alive. nil without an error
// of the load means that there is none; goOn is false when the load is over.
func (c *client) openSession(ctx context.Context, ttl int64) (s *session, goOn bool) {
	id, op := c.grantFor(ctx, ttl)
	if id != 0 && (op == nil || op.Outcome != history.Failed) {
		c.load.leases.hold(id)
	}
	if op == nil || op.Outcome != history.OK {
		return nil, op != nil
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	spied := clientv3.NewCtxClient(background)
	spy := &spyKV{KV: c.etcd.KV, timeout: c.load.opts.Timeout}
	spied.KV, spied.Watcher = spy, c.etcd.Watcher
	spied.Lease = &recordedLease{client: c.keeper(), load: ctx, every: time.Duration(op.Call.TTL) * time.Second / 3}
	cs, err := concurrency.NewSession(spied, concurrency.WithLease(clientv3.LeaseID(id)), concurrency.WithContext(background))
	if err != nil {
		// recordedLease never refuses.
		cancel()
		return nil, true
	}
	return &session{Session: cs, id: id, spy: spy, cancel: cancel}, true
}

// abandon stops the keep-alives and waits until there is none under way.
func (s *session) abandon() {
	s.Orphan()
	s.cancel()
}

// keeper is a second client on the same connection: what it does overlaps with
// what the first does.
func (c *client) keeper() *client {
	k := *c
	k.id += keeperIDs
	k.seen, k.failed = map[string]int64{}, 0
	return &k
}

// recordedLease keeps leases alive one recorded request at a time. The rest of
// the interface is not used by a session that is given its lease.
type recordedLease struct {
	clientv3.Lease
	client *client
	load   context.Context
	every  time.Duration
}

func (l *recordedLease) KeepAlive(ctx context.Context, id clientv3.LeaseID) (<-chan *clientv3.LeaseKeepAliveResponse, error) {
	answers := make(chan *clientv3.LeaseKeepAliveResponse)
	go func() {
		defer close(answers)
		for range mostKeepAlives {
			if !l.client.sleep(ctx, l.every) {
				return
			}
			op := l.client.keepAliveOf(l.load, int64(id))
			if op == nil || op.Outcome == history.OK && op.Call.TTL <= 0 {
				return
			}
		}
	}()
	return answers, nil
}

// spyKV remembers what the concurrency package was answered last, and bounds
// each of its requests: its cleaning up after a failure has no deadline.
type spyKV struct {
	clientv3.KV
	timeout time.Duration
	header  *pb.ResponseHeader
	// sent says that a write was sent, and so perhaps applied.
	sent bool
	// created is the header's revision of the last transaction that succeeded.
	created int64
	owner   *pb.RangeResponse // of the last Get
}

func (s *spyKV) forget() { s.header, s.sent, s.owner = nil, false, nil }

func (s *spyKV) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	r, err := s.KV.Get(ctx, key, opts...)
	if err == nil {
		s.header, s.owner = r.Header, (*pb.RangeResponse)(r)
	}
	return r, err
}

func (s *spyKV) Delete(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.DeleteResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	s.sent = true
	r, err := s.KV.Delete(ctx, key, opts...)
	if err == nil {
		s.header = r.Header
	}
	return r, err
}

func (s *spyKV) Txn(ctx context.Context) clientv3.Txn {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	return &spyTxn{spy: s, Txn: s.KV.Txn(ctx), cancel: cancel}
}

type spyTxn struct {
	clientv3.Txn
	spy    *spyKV
	cancel context.CancelFunc
}

func (t *spyTxn) If(cmps ...clientv3.Cmp) clientv3.Txn {
	t.Txn = t.Txn.If(cmps...)
	return t
}

func (t *spyTxn) Then(ops ...clientv3.Op) clientv3.Txn {
	t.Txn = t.Txn.Then(ops...)
	return t
}

func (t *spyTxn) Else(ops ...clientv3.Op) clientv3.Txn {
	t.Txn = t.Txn.Else(ops...)
	return t
}

func (t *spyTxn) Commit() (*clientv3.TxnResponse, error) {
	defer t.cancel()
	r, err := t.Txn.Commit()
	if err == nil {
		t.spy.header = r.Header
		if r.Succeeded {
			t.spy.created = r.Header.Revision
		}
	}
	// An error that says the write was refused leaves nothing behind.
	if err == nil || classify(err) != history.Failed {
		t.spy.sent = true
	}
	return r, err
}

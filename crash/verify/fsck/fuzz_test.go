package fsck

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// small is a db with branch pages, an inline bucket and an overflow page.
func small(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 1024, NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range standard {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		for i := range 80 {
			k := append([]byte{0, 0, 0, 0, 0, 0, 0, byte(i + 2), '_'}, make([]byte, 8)...)
			n := int64(i + 2)
			v, err := proto.Marshal(&mvccpb.KeyValue{Key: k, Value: make([]byte, i*20), CreateRevision: n, ModRevision: n, Version: 1})
			if err != nil {
				return err
			}
			if err := tx.Bucket([]byte("key")).Put(k, v); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte("meta")).Put([]byte("consistent_index"), make([]byte, 8))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func walkBytes(t testing.TB, b []byte) (s *store, problems int) {
	t.Helper()
	s = newStore()
	s.problem = func(string, uint64, int64, string, ...any) { problems++ }
	w := &walker{visit: s.visit, found: func(datadir.Problem) { problems++ }}
	if _, err := w.walk(bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatal(err)
	}
	s.chain()
	return s, problems
}

// FuzzWalk wants no bytes to make the walker panic, hang or read beyond them.
func FuzzWalk(f *testing.F) {
	b := small(f)
	if s, problems := walkBytes(f, b); problems > 0 || len(s.records) != 80 {
		f.Fatalf("%d problems, %d records", problems, len(s.records))
	}
	f.Add(uint32(2048), []byte{1, 2, 3})
	f.Add(uint32(16), []byte{0})
	f.Fuzz(func(t *testing.T, off uint32, with []byte) {
		c := append([]byte(nil), b...)
		copy(c[int(off)%len(c):], with)
		walkBytes(t, c)
	})
}

// TestEveryByte flips each byte of the first pages in use: no panic.
func TestEveryByte(t *testing.T) {
	b := small(t)
	for i := 0; i < len(b); i += 7 {
		b[i] ^= 0x41
		walkBytes(t, b)
		b[i] ^= 0x41
	}
}

func FuzzRequest(f *testing.F) {
	put := &pb.PutRequest{Key: []byte("k"), Value: []byte("v"), Lease: 7}
	one := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}}
	inner := &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Success: []*pb.RequestOp{one}}}}
	for _, r := range []*pb.InternalRaftRequest{
		{Put: put}, {DeleteRange: &pb.DeleteRangeRequest{Key: []byte("k"), RangeEnd: []byte{0}}},
		{Txn: &pb.TxnRequest{Success: []*pb.RequestOp{one, inner}, Failure: []*pb.RequestOp{inner}}},
		{LeaseRevoke: &pb.LeaseRevokeRequest{ID: 7}},
	} {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		if parseRequest(b) == nil {
			f.Fatalf("%v is not read", r)
		}
		f.Add(b)
	}
	s := newStore()
	s.keys = []string{"k"}
	group := []record{{main: 2, value: datadir.Hash("v"), lease: 7}, {main: 2, sub: 1, tombstone: true}}
	f.Fuzz(func(_ *testing.T, b []byte) {
		if o := parseRequest(b); o != nil {
			s.explains(o, group)
			o.eachPut(func(*op) {})
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x02_\x00\x00\x00\x00\x00\x00\x00\x00"), []byte("\x0a\x01k\x10\x02\x18\x02\x20\x01"))
	f.Fuzz(func(_ *testing.T, k, v []byte) {
		s := newStore()
		s.problem = func(string, uint64, int64, string, ...any) {}
		for _, bucket := range []string{"key", "meta"} {
			s.visit(bucket, k, v, 2, 0)
		}
		s.meta("consistent_index", v, 2, 0)
		s.meta("scheduledCompactRev", v, 2, 0)
		s.chain()
	})
}

package datadir

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/lease/leasepb"
	"google.golang.org/protobuf/proto"

	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// plant puts records into buckets of a data directory's db.
func plant(t *testing.T, data string, records map[string]map[string][]byte) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(data, dbName), 0o600, &bolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(func(tx *bolt.Tx) error {
		for bucket, kvs := range records {
			b, err := tx.CreateBucketIfNotExists([]byte(bucket))
			if err != nil {
				return err
			}
			for k, v := range kvs {
				if err := b.Put([]byte(k), v); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestShared(t *testing.T) {
	_, data := written(t, rungen.Options{Seed: 4, Ops: 50})
	id := func(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }
	user := marshal(t, &authpb.User{Name: []byte("ann"), Password: []byte("x"), Roles: []string{"writer", "reader"}})
	role := marshal(t, &authpb.Role{Name: []byte("reader"), KeyPermission: []*authpb.Permission{{Key: []byte("k")}}})
	alarm := marshal(t, &pb.AlarmMember{MemberID: 7, Alarm: pb.AlarmType_CORRUPT})
	plant(t, data, map[string]map[string][]byte{
		"lease": {
			id(5):       marshal(t, &leasepb.Lease{ID: 5, TTL: 60, RemainingTTL: 3}),
			id(1 << 63): marshal(t, &leasepb.Lease{ID: -1 << 63, TTL: 9}),
		},
		"alarm":           {string(alarm): nil},
		"members":         {"a1": []byte(`{"id":161,"peerURLs":["http://h:1"],"isLearner":true,"name":"m","clientURLs":["http://h:2"]}`)},
		"members_removed": {"b2": []byte("removed")},
		"cluster":         {"clusterVersion": []byte("3.7.0")},
		"auth":            {"authEnabled": {1}, "authRevision": []byte(id(12))},
		"authUsers":       {"ann": user},
		"authRoles":       {"reader": role},
	})
	s, err := Inspect(context.Background(), child(t), Query{Dir: data})
	if err != nil || len(s.Report.Problems) > 0 {
		t.Fatal(err, s.Report.Problems)
	}
	want := Shared{
		Leases: []Lease{{5, 60}, {-1 << 63, 9}}, LeaseCount: 2, LeaseDigest: s.Report.Shared.LeaseDigest,
		Alarms: []Alarm{{7, 2}}, Removed: []uint64{0xb2}, ClusterVersion: "3.7.0",
		Members: []Peer{{ID: 0xa1, Name: "m", PeerURLs: []string{"http://h:1"}, Learner: true}},
		Auth: Auth{
			Enabled: true, Revision: 12,
			Users: []Principal{{"ann", []string{"reader", "writer"}, Hash(user)}},
			Roles: []Principal{{Name: "reader", Digest: Hash(role)}},
		},
	}
	if diff := cmp.Diff(want, s.Report.Shared); diff != "" || want.LeaseDigest == 0 {
		t.Error(diff)
	}
	// A remaining TTL is each leader's to save; the granted one is replicated.
	plant(t, data, map[string]map[string][]byte{"lease": {id(5): marshal(t, &leasepb.Lease{ID: 5, TTL: 60})}})
	again, err := Inspect(context.Background(), nil, Query{Dir: data})
	if err != nil || again.Report.Shared.LeaseDigest != want.LeaseDigest {
		t.Error(err, "the digest depends on what may differ")
	}
}

// TestSharedDamage wants each bucket's damage told, and the rest still read.
func TestSharedDamage(t *testing.T) {
	for bucket, record := range map[string][2]string{
		"lease":           {"shortkey", "\x08\x05"},
		"alarm":           {"\xff", ""},
		"members":         {"a1", `{"id":162}`},
		"members_removed": {"not hex", ""},
		"auth":            {"authRevision", "1"},
		"authUsers":       {"ann", "\x0a\x03bob"},
		"authRoles":       {"reader", "\x0a"},
	} {
		_, data := written(t, rungen.Options{Seed: 4, Ops: 20})
		plant(t, data, map[string]map[string][]byte{bucket: {record[0]: []byte(record[1])}})
		s, err := Inspect(context.Background(), nil, Query{Dir: data})
		if err != nil || len(s.Report.Problems) != 1 || !strings.Contains(s.Report.Problems[0].Message, "bucket "+bucket+" ") {
			t.Errorf("%s: %v %+v", bucket, err, s.Report.Problems)
		}
		if s.Report.DB.Error != "" || s.Report.DB.Keys == 0 {
			t.Errorf("%s: %+v", bucket, s.Report.DB)
		}
	}
}

// TestHardStates feeds hard states in turn.
func TestHardStates(t *testing.T) {
	for name, c := range map[string]struct {
		states []hardState
		want   string
	}{
		"elections":   {[]hardState{{1, 0, 0}, {1, 5, 0}, {1, 5, 9}, {2, 0, 9}, {2, 6, 9}}, ""},
		"term back":   {[]hardState{{3, 5, 0}, {2, 5, 0}}, KindTerm},
		"two votes":   {[]hardState{{3, 5, 0}, {3, 6, 0}}, KindVote},
		"vote undone": {[]hardState{{3, 5, 0}, {3, 0, 0}}, KindVote},
	} {
		w := &walReader{rep: &Report{}}
		for i := range c.states {
			w.hardState(&c.states[i], 64*i)
		}
		got := ""
		for _, p := range w.rep.Problems {
			got += p.Kind
			if p.Offset == nil || *p.Offset != int64(64*(len(c.states)-1)) {
				t.Errorf("%s: %+v is at the wrong place", name, p)
			}
		}
		if got != c.want {
			t.Errorf("%s: %+v", name, w.rep.Problems)
		}
	}
}

func FuzzShared(f *testing.F) {
	f.Add([]byte("a1"), []byte(`{"id":161}`))
	f.Add(make([]byte, 8), marshal(f, &leasepb.Lease{TTL: 60}))
	f.Add([]byte("ann"), marshal(f, &authpb.User{Name: []byte("ann"), Roles: []string{"r"}}))
	f.Fuzz(func(_ *testing.T, k, v []byte) {
		_, _ = parseLease(k, v)
		_, _ = parseAlarm(k)
		_, _ = parsePeer(k, v)
		_, _ = parsePrincipal(k, v, true)
		_, _ = parsePrincipal(k, v, false)
	})
}

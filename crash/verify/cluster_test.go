package verify

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/etcdlab/etcdlab/crash/history"
)

// asks adds a call of client 0 to a member, after all others. A text is a refusal.
func (m *mutant) asks(member string, kind history.Kind, refused string, call history.Call) *history.Op {
	op := m.op(history.OK, m.head())
	op.Kind, op.Call, op.Member, op.Then, op.Results = kind, &call, member, nil, nil
	for _, x := range m.Meta.Members {
		if x.Name == member {
			op.MemberID = x.ID
		}
	}
	if refused != "" {
		op.Outcome, op.Error, op.Revision, op.MemberID = history.Failed, refused, 0, 0
	}
	return op
}

// unanswered makes the outcome of a call unknown.
func unanswered(op *history.Op) *history.Op {
	op.Outcome, op.Error, op.Revision, op.MemberID = history.Unknown, "context deadline exceeded", 0, 0
	return op
}

// reads adds a read of a key at a revision, with the true answer.
func (m *mutant) reads(member string, rev int64, serializable bool) *history.Op {
	key := m.aPut().Then[0].Key
	op := m.get(m.head(), key)
	op.Member, op.Then[0].Revision, op.Then[0].Serializable = member, rev, serializable
	op.Results[0] = history.Result{}
	if kv, ok := m.at(key, rev); ok {
		op.Results[0] = history.Result{KVs: []history.KV{kv}, Count: 1}
	}
	return op
}

func (m *mutant) refuses(op *history.Op, why string) *history.Op {
	op.Outcome, op.Error, op.Revision, op.Results = history.Failed, why, 0, nil
	return op
}

const (
	compactedError = "etcdserver: mvcc: required revision has been compacted"
	futureError    = "etcdserver: mvcc: required revision is a future revision"
)

// plant writes records into a bucket of a member's db; a nil value removes.
func plant(t *testing.T, dir, member, bucket string, records map[string][]byte) {
	t.Helper()
	if err := updateDB(filepath.Join(dir, dataFile(member, "snap", "db")), func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		for k, v := range records {
			if v == nil {
				err = b.Delete([]byte(k))
			} else {
				err = b.Put([]byte(k), v)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// diskRecord is what is changed in dbs after they are written.
type diskRecord struct {
	on    string // members, with spaces between; "": all
	where string // bucket
	what  map[string][]byte
}

func plantAll(t *testing.T, dir string, m *mutant, list []diskRecord) {
	for _, p := range list {
		for _, x := range m.Meta.Members {
			if p.on == "" || strings.Contains(p.on, x.Name) {
				plant(t, dir, x.Name, p.where, p.what)
			}
		}
	}
}

func bigEndian(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// message makes a message of text fields and numbers.
func message(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		n := uint64(fields[i].(int))
		switch v := fields[i+1].(type) {
		case string:
			b = binary.AppendUvarint(b, n<<3|2)
			b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
		case int:
			b = binary.AppendUvarint(b, n<<3)
			b = binary.AppendUvarint(b, uint64(v))
		default:
			panic(fmt.Sprintf("a field of type %T", v))
		}
	}
	return b
}

package datadir

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// etcd's messages are taken apart field by field instead of unmarshalled: a
// million of them are read per data directory, and a corrupt one must be an
// error and not a panic. Field numbers are those of etcd's api/v3 and raft/v3.

var errProto = errors.New("it is not a valid protocol buffer message")

// Fields calls each with every field of b; num is set for varints, data for
// bytes. Other wire types are passed over.
func Fields(b []byte, each func(field protowire.Number, num uint64, data []byte) error) error {
	for len(b) > 0 {
		var field protowire.Number
		var typ protowire.Type
		n := 1
		if field, typ = protowire.DecodeTag(uint64(b[0])); b[0] >= 0x80 || field == 0 {
			field, typ, n = protowire.ConsumeTag(b)
		}
		if n < 0 {
			return errProto
		}
		b = b[n:]
		var num uint64
		var data []byte
		switch typ {
		case protowire.VarintType:
			num, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			data, n = protowire.ConsumeBytes(b)
		default:
			if n = protowire.ConsumeFieldValue(field, typ, b); n >= 0 {
				b = b[n:]
				continue
			}
		}
		if n < 0 {
			return errProto
		}
		b = b[n:]
		if err := each(field, num, data); err != nil {
			return err
		}
	}
	return nil
}

// keyValue is mvccpb.KeyValue.
type keyValue struct {
	key, value                  []byte
	create, mod, version, lease int64
}

func (kv *keyValue) parse(b []byte) error {
	*kv = keyValue{}
	return Fields(b, func(field protowire.Number, num uint64, data []byte) error {
		switch field {
		case 1:
			kv.key = data
		case 2:
			kv.create = int64(num)
		case 3:
			kv.mod = int64(num)
		case 4:
			kv.version = int64(num)
		case 5:
			kv.value = data
		case 6:
			kv.lease = int64(num)
		}
		return nil
	})
}

// entry is raftpb.Entry.
type entry struct {
	term, index, kind uint64
	data              []byte
}

func (e *entry) parse(b []byte) error {
	*e = entry{}
	return Fields(b, func(field protowire.Number, num uint64, data []byte) error {
		switch field {
		case 1:
			e.kind = num
		case 2:
			e.term = num
		case 3:
			e.index = num
		case 4:
			e.data = data
		}
		return nil
	})
}

// hardState is raftpb.HardState.
type hardState struct{ term, vote, commit uint64 }

func (h *hardState) parse(b []byte) error {
	*h = hardState{}
	return Fields(b, func(field protowire.Number, num uint64, _ []byte) error {
		switch field {
		case 1:
			h.term = num
		case 2:
			h.vote = num
		case 3:
			h.commit = num
		}
		return nil
	})
}

// parse reads walpb.Snapshot.
func (s *WALSnap) parse(b []byte) error {
	*s = WALSnap{}
	return Fields(b, func(field protowire.Number, num uint64, _ []byte) error {
		switch field {
		case 1:
			s.Index = num
		case 2:
			s.Term = num
		}
		return nil
	})
}

const (
	raftPut    = 4 // fields of etcdserverpb.InternalRaftRequest
	raftDelete = 5
	raftTxn    = 6

	maxNesting = 64
)

// eachWrite calls put and del with the writes of an InternalRaftRequest. A
// transaction's are those of both branches: which one ran is not in the entry.
func eachWrite(b []byte, put func(key, value []byte), del func(key, end []byte)) error {
	return Fields(b, func(field protowire.Number, _ uint64, data []byte) error {
		switch field {
		case raftPut:
			return eachPut(data, put)
		case raftDelete:
			return eachDelete(data, del)
		case raftTxn:
			return eachTxn(data, put, del, 0)
		}
		return nil
	})
}

func eachPut(b []byte, put func(key, value []byte)) error {
	if put == nil {
		return nil
	}
	var key, value []byte
	err := Fields(b, func(field protowire.Number, _ uint64, data []byte) error {
		switch field {
		case 1:
			key = data
		case 2:
			value = data
		}
		return nil
	})
	if err == nil {
		put(key, value)
	}
	return err
}

func eachDelete(b []byte, del func(key, end []byte)) error {
	var key, end []byte
	err := Fields(b, func(field protowire.Number, _ uint64, data []byte) error {
		switch field {
		case 1:
			key = data
		case 2:
			end = data
		}
		return nil
	})
	if err == nil {
		del(key, end)
	}
	return err
}

func eachTxn(b []byte, put func(key, value []byte), del func(key, end []byte), depth int) error {
	if depth > maxNesting {
		return errProto
	}
	return Fields(b, func(field protowire.Number, _ uint64, data []byte) error {
		if field != 2 && field != 3 {
			return nil
		}
		return Fields(data, func(field protowire.Number, _ uint64, data []byte) error {
			switch field {
			case 2:
				return eachPut(data, put)
			case 3:
				return eachDelete(data, del)
			case 4:
				return eachTxn(data, put, del, depth+1)
			}
			return nil
		})
	})
}

package fsck

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdlab/etcdlab/crash/verify/datadir"
)

// opKind is what a request of the log can do to the key bucket.
type opKind uint8

const (
	opPut opKind = iota
	opDelete
	opTxn
	opRevoke // of a lease: deletes its keys, whose names are not in the log
)

// op is one request that may write, or one inside a transaction.
type op struct {
	kind        opKind
	ignoreValue bool
	ignoreLease bool
	key, end    string // of a put, a delete
	value       uint64 // hash of a put's
	lease       int64
	then, other []op // of a transaction: either branch
}

// Fields of etcdserverpb.InternalRaftRequest.
const (
	reqV2     = 2
	reqRange  = 3
	reqPut    = 4
	reqDelete = 5
	reqTxn    = 6
	reqRevoke = 9

	maxNesting = 64
)

var errNested = errors.New("transactions are nested too deep")

// parseRequest reads a normal entry's data: nil when it writes no keys, and when
// it is none of v3's requests, as etcd's own were until v3.5.
func parseRequest(data []byte) *op {
	var got *op
	v2 := false
	err := datadir.Fields(data, func(field protowire.Number, _ uint64, b []byte) error {
		var o op
		var err error
		switch field {
		case reqV2:
			v2 = true
			return nil
		case reqRange:
			return datadir.Fields(b, func(protowire.Number, uint64, []byte) error { return nil })
		case reqPut:
			o, err = parsePut(b)
		case reqDelete:
			o, err = parseDelete(b)
		case reqTxn:
			o, err = parseTxn(b, 0)
		case reqRevoke:
			o.kind = opRevoke
		default:
			return nil
		}
		got = &o
		return err
	})
	if err != nil || v2 {
		return nil
	}
	return got
}

func parsePut(b []byte) (o op, err error) {
	o.value = datadir.Hash("")
	return o, datadir.Fields(b, func(field protowire.Number, num uint64, data []byte) error {
		switch field {
		case 1:
			o.key = string(data)
		case 2:
			o.value = datadir.Hash(data)
		case 3:
			o.lease = int64(num)
		case 5:
			o.ignoreValue = num != 0
		case 6:
			o.ignoreLease = num != 0
		}
		return nil
	})
}

func parseDelete(b []byte) (o op, err error) {
	o.kind = opDelete
	return o, datadir.Fields(b, func(field protowire.Number, _ uint64, data []byte) error {
		switch field {
		case 1:
			o.key = string(data)
		case 2:
			o.end = string(data)
		}
		return nil
	})
}

func parseTxn(b []byte, depth int) (o op, err error) {
	if depth > maxNesting {
		return o, errNested
	}
	o.kind = opTxn
	return o, datadir.Fields(b, func(field protowire.Number, _ uint64, data []byte) error {
		if field != 2 && field != 3 {
			return nil
		}
		inner, writes, err := parseTxnOp(data, depth)
		switch {
		case err != nil || !writes:
		case field == 2:
			o.then = append(o.then, inner)
		default:
			o.other = append(o.other, inner)
		}
		return err
	})
}

// parseTxnOp reads etcdserverpb.RequestOp.
func parseTxnOp(b []byte, depth int) (o op, writes bool, err error) {
	err = datadir.Fields(b, func(field protowire.Number, _ uint64, data []byte) (err error) {
		switch field {
		case 2:
			o, err = parsePut(data)
		case 3:
			o, err = parseDelete(data)
		case 4:
			o, err = parseTxn(data, depth+1)
		default:
			return nil
		}
		writes = true
		return err
	})
	return o, writes, err
}

// mayWrite says whether the request can own a revision.
func (o *op) mayWrite() bool {
	return o.kind != opTxn || len(o.then) > 0 || len(o.other) > 0
}

// covers says whether a delete's range holds a key.
func (o *op) covers(key string) bool {
	switch o.end {
	case "":
		return key == o.key
	case "\x00":
		return key >= o.key
	}
	return key >= o.key && key < o.end
}

package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// maxCount bounds every repeated field of an encoded operation. etcd itself
// refuses transactions of more than 128 requests by default.
const maxCount = 1 << 24

const (
	flagSucceeded = 1 << 7
	flagSerial    = 1 << 7
	flagMore      = 1
)

// appendOp appends the encoding of o to b. Field order is the format: a new
// field goes to the end, with a new version in the file's header.
func appendOp(b []byte, o *Op) ([]byte, error) {
	if o.Kind > KindTxn || o.Outcome > Failed {
		return b, fmt.Errorf("encode operation %d: kind %d or outcome %d is unknown", o.ID, o.Kind, o.Outcome)
	}
	head := byte(o.Kind) | byte(o.Outcome)<<1
	if o.Succeeded {
		head |= flagSucceeded
	}
	b = append(b, head)
	b = binary.AppendUvarint(b, o.ID)
	b = binary.AppendVarint(b, int64(o.Client))
	b = appendString(b, o.Member)
	b = binary.AppendVarint(b, o.Invoke)
	b = binary.AppendVarint(b, o.Return)
	b = appendString(b, o.Error)
	b = binary.AppendVarint(b, o.Revision)
	b = binary.AppendUvarint(b, o.RaftTerm)
	b = binary.AppendUvarint(b, o.MemberID)
	b = binary.AppendUvarint(b, uint64(len(o.Compares)))
	for i := range o.Compares {
		c := &o.Compares[i]
		if c.Target > CompareMod || c.Result > NotEqual {
			return b, fmt.Errorf("encode operation %d: compare %d is of an unknown kind", o.ID, i)
		}
		b = append(b, byte(c.Target)|byte(c.Result)<<4)
		b = appendString(b, c.Key)
		b = appendString(b, c.Value)
		b = binary.AppendVarint(b, c.Number)
	}
	for _, reqs := range [2][]Request{o.Then, o.Else} {
		b = binary.AppendUvarint(b, uint64(len(reqs)))
		for i := range reqs {
			r := &reqs[i]
			if r.Verb > Delete {
				return b, fmt.Errorf("encode operation %d: request %d is of an unknown kind", o.ID, i)
			}
			head := byte(r.Verb)
			if r.Serializable {
				head |= flagSerial
			}
			b = append(b, head)
			b = appendString(b, r.Key)
			b = appendString(b, r.End)
			b = appendString(b, r.Value)
			b = binary.AppendVarint(b, r.Revision)
			b = binary.AppendVarint(b, r.Limit)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(o.Results)))
	for i := range o.Results {
		b = appendResult(b, &o.Results[i])
	}
	return b, nil
}

func appendResult(b []byte, r *Result) []byte {
	more := byte(0)
	if r.More {
		more = flagMore
	}
	b = append(b, more)
	b = binary.AppendVarint(b, r.Count)
	b = binary.AppendVarint(b, r.Deleted)
	b = binary.AppendUvarint(b, uint64(len(r.KVs)))
	for i := range r.KVs {
		kv := &r.KVs[i]
		b = appendString(b, kv.Key)
		b = appendString(b, kv.Value)
		b = binary.AppendVarint(b, kv.CreateRevision)
		b = binary.AppendVarint(b, kv.ModRevision)
		b = binary.AppendVarint(b, kv.Version)
		b = binary.AppendVarint(b, kv.Lease)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errShort = errors.New("the encoding ends too early or a field is out of range")

// decoder takes an operation apart. Strings are slices of one string per
// operation, except keys and members, which are interned: there are few of
// them and they are in every operation.
type decoder struct {
	rest   string
	bad    bool
	intern map[string]string
}

// decode fills op from payload, reusing its slices.
func (d *decoder) decode(payload []byte, op *Op) error {
	d.rest, d.bad = string(payload), false
	head := d.byte()
	op.Kind, op.Outcome, op.Succeeded = Kind(head&1), Outcome(head>>1&3), head&flagSucceeded != 0
	if head&^byte(flagSucceeded) > 7 || op.Outcome > Failed {
		d.bad = true
	}
	op.ID = d.uvarint()
	client := d.varint()
	if client != int64(int32(client)) {
		d.bad = true
	}
	op.Client = int32(client)
	op.Member = d.name()
	op.Invoke, op.Return = d.varint(), d.varint()
	op.Error = d.string()
	op.Revision = d.varint()
	op.RaftTerm, op.MemberID = d.uvarint(), d.uvarint()
	op.Compares = grow(op.Compares, d.count())
	for i := range op.Compares {
		op.Compares[i] = d.compare()
	}
	op.Then = d.requests(op.Then)
	op.Else = d.requests(op.Else)
	op.Results = grow(op.Results, d.count())
	for i := range op.Results {
		d.result(&op.Results[i])
	}
	if d.bad || d.rest != "" {
		return errShort
	}
	return nil
}

func (d *decoder) compare() Compare {
	head := d.byte()
	c := Compare{Target: CompareTarget(head & 15), Result: CompareResult(head >> 4)}
	if c.Target > CompareMod || c.Result > NotEqual {
		d.bad = true
	}
	c.Key, c.Value, c.Number = d.name(), d.string(), d.varint()
	return c
}

func (d *decoder) requests(reqs []Request) []Request {
	reqs = grow(reqs, d.count())
	for i := range reqs {
		head := d.byte()
		r := Request{Verb: Verb(head &^ flagSerial), Serializable: head&flagSerial != 0}
		if r.Verb > Delete {
			d.bad = true
		}
		r.Key, r.End, r.Value = d.name(), d.name(), d.string()
		r.Revision, r.Limit = d.varint(), d.varint()
		reqs[i] = r
	}
	return reqs
}

func (d *decoder) result(r *Result) {
	more := d.byte()
	if more > flagMore {
		d.bad = true
	}
	r.More = more == flagMore
	r.Count, r.Deleted = d.varint(), d.varint()
	r.KVs = grow(r.KVs, d.count())
	for i := range r.KVs {
		r.KVs[i] = KV{
			Key: d.name(), Value: d.string(),
			CreateRevision: d.varint(), ModRevision: d.varint(), Version: d.varint(), Lease: d.varint(),
		}
	}
}

// grow gives a slice of n elements; nil for none, as an Op is written by hand.
func grow[T any](s []T, n int) []T {
	if n == 0 {
		if s == nil {
			return nil
		}
		return s[:0]
	}
	if cap(s) < n {
		return append(s[:cap(s)], make([]T, n-cap(s))...)
	}
	return s[:n]
}

func (d *decoder) byte() byte {
	if d.bad || d.rest == "" {
		d.bad = true
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	var x uint64
	for shift := 0; shift < 64; shift += 7 {
		c := d.byte()
		if shift == 63 && c > 1 {
			d.bad = true
		}
		x |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return x
		}
	}
	d.bad = true
	return 0
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// count reads the length of a repeated field. An element takes at least one
// byte, so a length beyond the rest is a lie that must not be allocated.
func (d *decoder) count() int {
	n := d.uvarint()
	if d.bad || n > maxCount || n > uint64(len(d.rest)) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.uvarint()
	if d.bad || n > math.MaxInt32 || n > uint64(len(d.rest)) {
		d.bad = true
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) name() string {
	s := d.string()
	if s == "" {
		return ""
	}
	if known, ok := d.intern[s]; ok {
		return known
	}
	s = string(append([]byte(nil), s...)) // not a slice of the whole operation
	d.intern[s] = s
	return s
}

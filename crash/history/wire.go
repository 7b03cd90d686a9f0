package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// maxCount bounds every repeated field of an encoded record. etcd itself
// refuses transactions of more than 128 requests by default.
const maxCount = 1 << 24

// encoder appends fields to b; the first that cannot be encoded is err.
type encoder struct {
	b   []byte
	err error
}

func (e *encoder) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf(format, args...)
	}
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func (e *encoder) byte(b byte)      { e.b = append(e.b, b) }
func (e *encoder) uvarint(x uint64) { e.b = binary.AppendUvarint(e.b, x) }
func (e *encoder) varint(x int64)   { e.b = binary.AppendVarint(e.b, x) }

func (e *encoder) enum(x, end uint8, what string) {
	if x >= end {
		e.fail("%s %d is unknown", what, x)
	}
	e.byte(x)
}

func (e *encoder) string(s string) {
	e.uvarint(uint64(len(s)))
	e.b = append(e.b, s...)
}

// value keeps a value that Value made by its name: the rest follows from it.
func (e *encoder) value(v string) {
	name, ok := ParseValue(v)
	if !ok || len(v) > maxValue || !name.made(v) {
		e.uvarint(uint64(len(v)) << 1)
		e.b = append(e.b, v...)
		return
	}
	e.uvarint(uint64(len(v))<<1 | 1)
	e.string(name.RunID)
	e.varint(int64(name.Client))
	e.uvarint(name.Op)
	e.uvarint(uint64(name.N))
}

func (e *encoder) kv(kv *KV) {
	e.string(kv.Key)
	e.value(kv.Value)
	e.varint(kv.CreateRevision)
	e.varint(kv.ModRevision)
	e.varint(kv.Version)
	e.varint(kv.Lease)
}

var errShort = errors.New("the encoding ends too early or a field is out of range")

// decoder takes a record apart. Names are interned: there are few of them and
// they are in every record.
type decoder struct {
	rest   []byte
	bad    bool
	intern map[string]string
	recent [512]string // of intern, by the last bytes: a map costs more than all else
	filled []byte      // of the last value that was made again from its name
}

func (d *decoder) begin(payload []byte) { d.rest, d.bad = payload, false }

func (d *decoder) end() error {
	if d.bad || len(d.rest) > 0 {
		return errShort
	}
	return nil
}

// grow gives a slice of n elements; nil for none, as a record is written by hand.
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
	if d.bad || len(d.rest) == 0 {
		d.bad = true
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

func (d *decoder) enum(end uint8) uint8 {
	x := d.byte()
	if x >= end {
		d.bad = true
	}
	return x
}

func (d *decoder) flags(known byte) byte {
	x := d.byte()
	if x&^known != 0 {
		d.bad = true
	}
	return x
}

func (d *decoder) uvarint() uint64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 && !d.bad { // most are short
		c := d.rest[0]
		d.rest = d.rest[1:]
		return uint64(c)
	}
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

func (d *decoder) int32() int32 {
	x := d.varint()
	if x != int64(int32(x)) {
		d.bad = true
	}
	return int32(x)
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

func (d *decoder) string() string { return string(d.take(d.uvarint())) }

// take is the next n bytes, which are the reader's.
func (d *decoder) take(n uint64) []byte {
	if d.bad || n > math.MaxInt32 || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) name() string {
	s := d.take(d.uvarint())
	if len(s) == 0 {
		return ""
	}
	slot := uint(len(s))
	for _, c := range s[max(0, len(s)-6):] {
		slot = slot*31 + uint(c)
	}
	recent := &d.recent[slot%uint(len(d.recent))]
	if *recent == string(s) {
		return *recent
	}
	known, ok := d.intern[string(s)]
	if !ok {
		known = string(s)
		d.intern[known] = known
	}
	*recent = known
	return known
}

func (d *decoder) value() string {
	head := d.uvarint()
	size := head >> 1
	if head&1 == 0 {
		return string(d.take(size))
	}
	run, client, op, n := d.name(), d.int32(), d.uvarint(), d.uvarint()
	if d.bad || size > maxValue || n > math.MaxInt32 {
		d.bad = true
		return ""
	}
	d.filled = appendValue(d.filled[:0], run, client, op, int(n), int(size))
	if uint64(len(d.filled)) != size {
		d.bad = true
	}
	return string(d.filled)
}

func (d *decoder) kv(kv *KV) {
	*kv = KV{
		Key: d.name(), Value: d.value(),
		CreateRevision: d.varint(), ModRevision: d.varint(), Version: d.varint(), Lease: d.varint(),
	}
}

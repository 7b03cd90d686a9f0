package datadir

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Tags of the stream from child to parent. The report is its end: a stream
// without one is a child that died.
const (
	tagKey = 1 + iota
	tagRevision
	tagExcerpt
	tagWrite
	tagReport
)

const (
	maxString = 64 << 20
	excerpt   = 64 // bytes of a value shown to people

	flagDelete  = 1
	flagPending = 2
	flagNamed   = 4
)

// encoder writes the stream.
type encoder struct {
	w    *bufio.Writer
	buf  []byte
	keys map[string]uint32
	main int64
	err  error
}

func newEncoder(w io.Writer) *encoder {
	return &encoder{w: bufio.NewWriterSize(w, 256<<10), keys: make(map[string]uint32)}
}

func (e *encoder) emit() {
	if e.err == nil {
		_, e.err = e.w.Write(e.buf)
	}
}

// key gives the number of a key, telling the parent of a new one.
func (e *encoder) key(key []byte) uint32 {
	if id, ok := e.keys[string(key)]; ok {
		return id
	}
	id := uint32(len(e.keys))
	e.keys[string(key)] = id
	e.buf = append(e.buf[:0], tagKey)
	e.bytes(key)
	e.emit()
	return id
}

func (e *encoder) bytes(b []byte) {
	e.buf = append(binary.AppendUvarint(e.buf, uint64(len(b))), b...)
}

func (e *encoder) revision(r *Revision, value []byte) {
	b := append(e.buf[:0], tagRevision, r.Flags)
	b = binary.AppendUvarint(b, uint64(r.Main-e.main))
	e.main = r.Main
	b = binary.AppendUvarint(b, uint64(r.Sub))
	b = binary.AppendUvarint(b, uint64(r.Key))
	b = binary.LittleEndian.AppendUint64(b, r.Digest)
	if r.Flags&(Foreign|Tombstone) == 0 {
		b = binary.LittleEndian.AppendUint64(b, r.Value)
		b = binary.AppendUvarint(b, uint64(r.Create))
		b = binary.AppendUvarint(b, uint64(r.Version))
		b = binary.AppendUvarint(b, uint64(r.Lease))
		b = binary.AppendUvarint(b, uint64(r.Size))
		if r.Is(Named) {
			b = binary.AppendUvarint(b, r.Op)
			b = binary.AppendVarint(b, int64(r.Client))
			b = binary.AppendUvarint(b, uint64(r.N))
		}
	}
	e.buf = b
	if r.Flags&(Foreign|Tombstone|Named) == 0 {
		e.buf = append(e.buf, tagExcerpt)
		e.bytes(value[:min(len(value), excerpt)])
	}
	e.emit()
}

func (e *encoder) write(w *Write) {
	var flags byte
	if w.Delete {
		flags |= flagDelete
	}
	if w.Pending {
		flags |= flagPending
	}
	if w.Named {
		flags |= flagNamed
	}
	e.buf = append(e.buf[:0], tagWrite, flags)
	e.buf = binary.AppendUvarint(e.buf, w.Index)
	e.buf = binary.AppendUvarint(e.buf, w.Term)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, w.Value)
	e.buf = binary.AppendUvarint(e.buf, w.Op)
	e.bytes([]byte(w.Key))
	e.bytes([]byte(w.End))
	e.emit()
}

func (e *encoder) report(r *Report) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	e.buf = append(e.buf[:0], tagReport)
	e.bytes(b)
	e.emit()
	return errors.Join(e.err, e.w.Flush())
}

// errNoReport is a stream that ended without its report.
var errNoReport = errors.New("the reading of the data directory ended early")

// decode reads a whole stream.
func decode(in io.Reader) (*Store, error) {
	d := &streamReader{r: bufio.NewReaderSize(in, 256<<10)}
	s := &Store{Excerpts: make(map[int]string)}
	for {
		tag := d.byte()
		if d.err != nil {
			return s, errNoReport
		}
		switch tag {
		case tagKey:
			s.Keys = append(s.Keys, d.string())
		case tagRevision:
			r := d.revision()
			if d.err == nil && int(r.Key) >= len(s.Keys) {
				return s, fmt.Errorf("stream of the data directory: key %d is unknown", r.Key)
			}
			s.Revisions = append(s.Revisions, r)
		case tagExcerpt:
			s.Excerpts[len(s.Revisions)-1] = d.string()
		case tagWrite:
			s.Writes = append(s.Writes, d.write())
		case tagReport:
			b := d.string()
			if d.err != nil {
				return s, errNoReport
			}
			if err := json.Unmarshal([]byte(b), &s.Report); err != nil {
				return s, fmt.Errorf("stream of the data directory: %w", err)
			}
			return s, nil
		default:
			return s, fmt.Errorf("stream of the data directory: unknown tag %d", tag)
		}
	}
}

type streamReader struct {
	r    *bufio.Reader
	main int64
	err  error
}

func (d *streamReader) byte() byte {
	if d.err != nil {
		return 0
	}
	var b byte
	b, d.err = d.r.ReadByte()
	return b
}

func (d *streamReader) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	var x uint64
	x, d.err = binary.ReadUvarint(d.r)
	return x
}

func (d *streamReader) fixed64() uint64 {
	if d.err != nil {
		return 0
	}
	var b []byte
	if b, d.err = d.r.Peek(8); d.err != nil {
		return 0
	}
	x := binary.LittleEndian.Uint64(b)
	_, d.err = d.r.Discard(8)
	return x
}

func (d *streamReader) string() string {
	n := d.uvarint()
	if d.err == nil && n > maxString {
		d.err = fmt.Errorf("a string of %d bytes", n)
	}
	if d.err != nil {
		return ""
	}
	b := make([]byte, n)
	_, d.err = io.ReadFull(d.r, b)
	return string(b)
}

func (d *streamReader) revision() (r Revision) {
	r.Flags = d.byte()
	d.main += int64(d.uvarint())
	r.Main = d.main
	r.Sub, r.Key = uint32(d.uvarint()), uint32(d.uvarint())
	r.Digest = d.fixed64()
	if r.Flags&(Foreign|Tombstone) == 0 {
		r.Value = d.fixed64()
		r.Create, r.Version = int64(d.uvarint()), int64(d.uvarint())
		r.Lease, r.Size = int64(d.uvarint()), uint32(d.uvarint())
		if r.Is(Named) {
			r.Op = d.uvarint()
			client := d.uvarint()
			r.Client = int32(int64(client>>1) ^ -int64(client&1))
			r.N = uint16(d.uvarint())
		}
	}
	return r
}

func (d *streamReader) write() (w Write) {
	flags := d.byte()
	w.Delete, w.Pending, w.Named = flags&flagDelete != 0, flags&flagPending != 0, flags&flagNamed != 0
	w.Index, w.Term = d.uvarint(), d.uvarint()
	w.Value, w.Op = d.fixed64(), d.uvarint()
	w.Key, w.End = d.string(), d.string()
	return w
}

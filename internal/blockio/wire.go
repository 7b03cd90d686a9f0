package blockio

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A frame is a head of headBytes and size bytes after it. A request has data if
// it writes; its reply carries the tag, the error's number in place of the
// operation, and what was read. The first frame is the server's: tag 0, the error
// of opening the device and its text.
const (
	frameMagic = 0x626c6b31 // "blk1"
	headBytes  = 36
)

type operation uint32

const (
	opRead operation = 1 + iota
	opWrite
	opFUA
	opSync
	opDiscard
	opZero
)

// frame is a request or a reply, without its data.
type frame struct {
	code   uint32 // operation, or error
	tag    uint64
	off    int64
	length int64 // bytes that the operation is about
	size   uint32
}

func (f frame) put(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, frameMagic)
	b = le.AppendUint32(b, f.code)
	b = le.AppendUint64(b, f.tag)
	b = le.AppendUint64(b, uint64(f.off))
	b = le.AppendUint64(b, uint64(f.length))
	return le.AppendUint32(b, f.size)
}

func readFrame(r io.Reader) (frame, error) {
	var b [headBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return frame{}, err
	}
	le := binary.LittleEndian
	if m := le.Uint32(b[:]); m != frameMagic {
		return frame{}, fmt.Errorf("%q is not the beginning of a frame: something else writes to this pipe, too", b[:])
	}
	f := frame{
		code: le.Uint32(b[4:]), tag: le.Uint64(b[8:]), off: int64(le.Uint64(b[16:])),
		length: int64(le.Uint64(b[24:])), size: le.Uint32(b[32:]),
	}
	if f.size > MaxBytes {
		return f, fmt.Errorf("a frame of %d bytes is longer than %d", f.size, MaxBytes)
	}
	return f, nil
}

// Package zeros owns a code for streams that are mostly zeroes, as the archive of
// a database whose log is allocated ahead: runs of zeroes are sent as their
// length. It costs next to nothing where there are none.
package zeros

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A stream is a sequence of records, each a length, of which the lowest bit says
// that it is that of a run of zeroes, and else the bytes. A length of 0 ends it,
// so that a stream that was cut off is not taken for a whole one.
const (
	block   = 512     // the unit in which zeroes are looked for
	longest = 1 << 30 // of a run
	piece   = 64 << 10
)

var empty [block]byte

// Writer encodes. Close ends the stream, not what it writes to.
type Writer struct {
	w       *bufio.Writer
	pending []byte // less than a block
	bytes   []byte // not zero, not written yet
	zeroes  uint64 // counted, not written yet
}

// NewWriter encodes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: bufio.NewWriterSize(w, piece)} }

func (z *Writer) Write(p []byte) (int, error) {
	n := len(p)
	if len(z.pending) > 0 {
		k := min(block-len(z.pending), len(p))
		z.pending, p = append(z.pending, p[:k]...), p[k:]
		if len(z.pending) < block {
			return n, nil
		}
		if err := z.add(z.pending); err != nil {
			return 0, err
		}
		z.pending = z.pending[:0]
	}
	for ; len(p) >= block; p = p[block:] {
		if err := z.add(p[:block]); err != nil {
			return 0, err
		}
	}
	z.pending = append(z.pending, p...)
	return n, nil
}

// add takes a block, or the rest of the stream.
func (z *Writer) add(p []byte) error {
	if string(p) == string(empty[:len(p)]) {
		if err := z.putBytes(); err != nil {
			return err
		}
		z.zeroes += uint64(len(p))
		if z.zeroes >= longest-block {
			return z.putZeroes()
		}
		return nil
	}
	if err := z.putZeroes(); err != nil {
		return err
	}
	z.bytes = append(z.bytes, p...)
	if len(z.bytes) >= piece {
		return z.putBytes()
	}
	return nil
}

func (z *Writer) putZeroes() error {
	if z.zeroes == 0 {
		return nil
	}
	err := z.put(z.zeroes<<1 | 1)
	z.zeroes = 0
	return err
}

func (z *Writer) putBytes() error {
	if len(z.bytes) == 0 {
		return nil
	}
	if err := z.put(uint64(len(z.bytes)) << 1); err != nil {
		return err
	}
	_, err := z.w.Write(z.bytes)
	z.bytes = z.bytes[:0]
	return err
}

func (z *Writer) put(v uint64) error {
	var b [binary.MaxVarintLen64]byte
	_, err := z.w.Write(b[:binary.PutUvarint(b[:], v)])
	return err
}

// Close writes what is left and the end.
func (z *Writer) Close() error {
	if len(z.pending) > 0 {
		if err := z.add(z.pending); err != nil {
			return err
		}
		z.pending = nil
	}
	return errors.Join(z.putBytes(), z.putZeroes(), z.put(0), z.w.Flush())
}

// Copy decodes r to w, up to the stream's end; what follows in r is left alone
// or lost in a buffer.
func Copy(w io.Writer, r io.Reader) error {
	in := bufio.NewReaderSize(r, piece)
	nothing := make([]byte, piece)
	for {
		v, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("decode a stream of runs: %w", err)
		}
		n := int64(v >> 1)
		switch {
		case v == 0:
			return nil
		case n == 0 || n > longest:
			return fmt.Errorf("decode a stream of runs: a run of %d bytes", n)
		case v&1 == 0:
			_, err = io.CopyN(w, in, n)
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
		default:
			for ; n > 0 && err == nil; n -= int64(min(n, piece)) {
				_, err = w.Write(nothing[:min(n, piece)])
			}
		}
		if err != nil {
			return fmt.Errorf("decode a stream of runs: %w", err)
		}
	}
}

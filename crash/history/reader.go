package history

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// logReader reads a log from its beginning.
type logReader struct {
	r         *bufio.Reader
	dec       decoder
	buf       []byte
	off       int64 // of the next frame
	count     uint64
	done      bool
	truncated bool
}

// CorruptError says that a history is damaged, not merely cut short.
type CorruptError struct {
	Offset int64 // of the damaged frame, in bytes from the file's start
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("history is corrupt at byte %d: %s", e.Offset, e.Reason)
}

func (h *logReader) begin(r io.Reader, header string) error {
	h.r, h.off = bufio.NewReaderSize(r, 256<<10), int64(len(header))
	h.dec.intern = make(map[string]string)
	head := make([]byte, len(header))
	n, err := io.ReadFull(h.r, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if string(head[:n]) != header[:n] {
			return &CorruptError{Reason: "this is not a history"}
		}
		h.done, h.truncated = true, true // killed before the first flush
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the history's header: %w", err)
	}
	last := len(header) - 1
	if string(head[:last]) != header[:last] {
		return &CorruptError{Reason: "this is not a history"}
	}
	if head[last] != header[last] {
		return &CorruptError{Reason: fmt.Sprintf("its format is version %d, and only version %d can be read", head[last], header[last])}
	}
	return nil
}

// Reader reads a history from its beginning.
type Reader struct{ logReader }

// NewReader checks the header of r.
func NewReader(r io.Reader) (*Reader, error) {
	h := new(Reader)
	if err := h.begin(r, header); err != nil {
		return nil, err
	}
	return h, nil
}

// ResumeReader reads on from an offset that another Reader of the file gave. What
// it says of the end mark's count is not to be trusted.
func ResumeReader(r io.ReaderAt, offset int64) *Reader {
	h := new(Reader)
	h.r, h.off = bufio.NewReaderSize(io.NewSectionReader(r, offset, 1<<62-offset), 64<<10), offset
	h.dec.intern = make(map[string]string)
	return h
}

// Next fills op with the next operation and reuses its slices; its strings are
// op's own. It returns io.EOF after the last one, and *CorruptError when the
// file is damaged in a way that ending early cannot explain.
func (h *Reader) Next(op *Op) error {
	return h.next(func(payload []byte) error { return h.dec.decode(payload, op) })
}

// WatchReader reads a log of watches from its beginning.
type WatchReader struct{ logReader }

// NewWatchReader checks the header of r.
func NewWatchReader(r io.Reader) (*WatchReader, error) {
	h := new(WatchReader)
	if err := h.begin(r, watchHeader); err != nil {
		return nil, err
	}
	return h, nil
}

// Next fills rec with the next record, as Reader.Next does.
func (h *WatchReader) Next(rec *WatchRecord) error {
	return h.next(func(payload []byte) error { return h.dec.decodeWatch(payload, rec) })
}

func (h *logReader) next(decode func([]byte) error) error {
	if h.done {
		return io.EOF
	}
	frame, size, err := h.frame()
	switch {
	case errors.Is(err, io.EOF):
		h.done, h.truncated = true, true
		return io.EOF
	case err != nil:
		h.done = true
		return err
	}
	start := h.off
	h.off += int64(len(frame))
	payload := frame[len(frame)-4-size : len(frame)-4]
	if size == 0 {
		return h.end(start, frame)
	}
	if err := decode(payload); err != nil {
		h.done = true
		return &CorruptError{Offset: start, Reason: err.Error()}
	}
	h.count++
	return nil
}

// Truncated says, after io.EOF, that the end mark is missing: operations were
// lost when the writer was killed, or are still being written.
func (h *logReader) Truncated() bool { return h.truncated }

// Offset is the position of the next frame, in bytes from the file's start.
func (h *logReader) Offset() int64 { return h.off }

// frame reads the next frame whole, with a valid CRC. io.EOF means a clean or
// a torn end; the end mark is a frame of size 0 whose bytes include the count.
func (h *logReader) frame() (frame []byte, size int, err error) {
	buf := h.buf[:0]
	length, buf, err := h.uvarint(buf)
	if err != nil {
		return nil, 0, h.short(buf, err)
	}
	if length > maxFrame {
		return nil, 0, &CorruptError{Offset: h.off, Reason: fmt.Sprintf("a frame of %d bytes", length)}
	}
	want := int(length) + 4
	if length == 0 {
		if _, buf, err = h.uvarint(buf); err != nil {
			return nil, 0, h.short(buf, err)
		}
		want = 4
	}
	// Grown as it is read: a damaged length must not allocate a gigabyte.
	for head := len(buf); len(buf) < head+want; {
		step := min(head+want-len(buf), 1<<20)
		at := len(buf)
		buf = append(buf, make([]byte, step)...)
		n, err := io.ReadFull(h.r, buf[at:])
		if err != nil {
			return nil, 0, h.short(buf[:at+n], err)
		}
	}
	h.buf = buf
	body := len(buf) - 4
	if crc32.Checksum(buf[:body], castagnoli) != binary.LittleEndian.Uint32(buf[body:]) {
		return nil, 0, &CorruptError{Offset: h.off, Reason: "the checksum does not match"}
	}
	return buf, int(length), nil
}

func (h *logReader) uvarint(buf []byte) (uint64, []byte, error) {
	var x uint64
	for shift := 0; ; shift += 7 {
		c, err := h.r.ReadByte()
		if err != nil {
			return 0, buf, err
		}
		buf = append(buf, c)
		if shift == 63 {
			return 0, buf, &CorruptError{Offset: h.off, Reason: "a length that is not a number"}
		}
		x |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return x, buf, nil
		}
	}
}

// short judges a frame that the file's end cut off. A killed writer leaves a
// prefix of what it wrote, so whole frames after the cut one can only mean that
// its length was damaged.
func (h *logReader) short(rest []byte, err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		var corrupt *CorruptError
		if errors.As(err, &corrupt) {
			return err
		}
		return fmt.Errorf("read the history at byte %d: %w", h.off, err)
	}
	for i := 1; i < len(rest); i++ {
		if size, n := binary.Uvarint(rest[i:]); n > 0 && size > 0 && size <= uint64(len(rest)) {
			end := i + n + int(size)
			if end+4 <= len(rest) && crc32.Checksum(rest[i:end], castagnoli) == binary.LittleEndian.Uint32(rest[end:]) {
				return &CorruptError{Offset: h.off, Reason: fmt.Sprintf("a frame longer than the file, with a whole frame at byte %d", h.off+int64(i))}
			}
		}
	}
	return io.EOF
}

func (h *logReader) end(start int64, frame []byte) error {
	h.done = true
	count, _ := binary.Uvarint(frame[1:])
	if count != h.count {
		return &CorruptError{Offset: start, Reason: fmt.Sprintf("the end mark counts %d records, the file holds %d", count, h.count)}
	}
	if _, err := h.r.ReadByte(); !errors.Is(err, io.EOF) {
		return &CorruptError{Offset: h.off, Reason: "there are bytes after the end mark"}
	}
	return io.EOF
}

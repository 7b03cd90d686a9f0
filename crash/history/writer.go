package history

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

// Headers begin every history.bin and watch.bin: a magic that no text file
// begins with, and the format's version. They are equally long.
const (
	header      = "\x89etcdlab history\n\x02"
	watchHeader = "\x89etcdlab watches\n\x02"
)

// maxFrame bounds one encoded record. etcd's own limit is 1.5 MiB a request
// by default; answers to ranges are larger.
const maxFrame = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// log appends records to a file. It is safe for use by many clients at once.
//
// The file is the header, then one frame per record: a uvarint length, the
// record, and the CRC-32C of both in little-endian order. A length of zero is
// the end mark: a uvarint count of the records and the same CRC. Only the end
// mark says that nothing is missing, so a log is complete only after Close.
type log struct {
	mu    sync.Mutex
	w     *bufio.Writer
	buf   []byte
	count uint64
	err   error // the first; a history with a gap must not go on
}

func (h *log) begin(w io.Writer, header string) error {
	h.w = bufio.NewWriterSize(w, 256<<10)
	if _, err := h.w.WriteString(header); err != nil {
		return fmt.Errorf("write the history's header: %w", err)
	}
	return nil
}

// Writer appends operations to a history.
type Writer struct{ log }

// NewWriter starts a history on w with its header, unflushed.
func NewWriter(w io.Writer) (*Writer, error) {
	h := new(Writer)
	return h, h.begin(w, header)
}

// Append adds one operation to the buffer. The operation may be reused after.
func (h *Writer) Append(op *Op) error {
	return h.append(func(b []byte) ([]byte, error) { return appendOp(b, op) })
}

// WatchWriter appends records of watches to their log.
type WatchWriter struct{ log }

// NewWatchWriter starts a log of watches on w with its header, unflushed.
func NewWatchWriter(w io.Writer) (*WatchWriter, error) {
	h := new(WatchWriter)
	return h, h.begin(w, watchHeader)
}

// Append adds one record to the buffer. The record may be reused after.
func (h *WatchWriter) Append(r *WatchRecord) error {
	return h.append(func(b []byte) ([]byte, error) { return appendWatch(b, r) })
}

var errClosed = errors.New("the history is closed")

func (h *log) append(encode func([]byte) ([]byte, error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return h.err
	}
	// Room for the length is left before the record: a uvarint of a frame
	// takes at most five bytes.
	const room = 5
	buf, err := encode(append(h.buf[:0], make([]byte, room)...))
	h.buf = buf
	if err != nil {
		return err
	}
	size := len(buf) - room
	if size > maxFrame {
		return fmt.Errorf("append a record of %d bytes: that is more than the format's limit", size)
	}
	var length [room]byte
	n := binary.PutUvarint(length[:], uint64(size))
	start := room - n
	copy(buf[start:], length[:n])
	h.count++
	return h.frame(buf[start:])
}

func (h *log) frame(b []byte) error {
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if _, err := h.w.Write(b); err != nil {
		h.err = fmt.Errorf("append to the history: %w", err)
	}
	return h.err
}

// Flush hands everything appended so far to the file.
func (h *log) Flush() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.flush()
}

func (h *log) flush() error {
	if h.err != nil && !errors.Is(h.err, errClosed) {
		return h.err
	}
	if err := h.w.Flush(); err != nil {
		h.err = fmt.Errorf("flush the history: %w", err)
		return h.err
	}
	return nil
}

// Close writes the end mark and flushes; it does not close the file below. A
// history without it is read as truncated, and a verdict on it is never pass.
func (h *log) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		if errors.Is(h.err, errClosed) {
			return nil
		}
		return h.err
	}
	if err := h.frame(binary.AppendUvarint([]byte{0}, h.count)); err != nil {
		return err
	}
	if err := h.flush(); err != nil {
		return err
	}
	h.err = errClosed
	return nil
}

// Count is the number of records appended.
func (h *log) Count() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

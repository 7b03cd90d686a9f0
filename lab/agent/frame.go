package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// After the upgrade of POST /v1/exec both sides send frames: a byte of kind,
// the length in four bytes, big-endian, and so many bytes.
const (
	frameIn    = 'i' // to the command's standard input
	frameInEnd = 'e' // which has ended
	frameOut   = 'o' // of its standard output
	frameError = 'r' // of its standard error
	frameExit  = 'x' // how it ended: an exitFrame, the last of all
)

// execProtocol is what the connection is upgraded to.
const execProtocol = "etcdlab-exec"

// maxFrame bounds a frame's content, in bytes.
const maxFrame = 64 << 10

// exitFrame is the content of the last frame.
type exitFrame struct {
	Exit  int    `json:"exit"`
	Error *Error `json:"error,omitempty"` // why it could not run
}

// readFrame reads the next frame. io.EOF is a connection that ended between two.
func readFrame(r io.Reader) (kind byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes: at most %d are allowed", size, maxFrame)
	}
	switch head[0] {
	case frameIn, frameInEnd, frameOut, frameError, frameExit:
	default:
		return 0, nil, fmt.Errorf("a frame of the unknown kind %q", head[0])
	}
	data = make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return head[0], data, nil
}

// framer writes frames, those of several writers one after the other.
type framer struct {
	mu sync.Mutex
	w  io.Writer
}

func (f *framer) frame(kind byte, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	buf := make([]byte, 5, 5+len(data))
	buf[0] = kind
	binary.BigEndian.PutUint32(buf[1:], uint32(len(data)))
	_, err := f.w.Write(append(buf, data...))
	return err
}

// to is a writer whose bytes become frames of the kind.
func (f *framer) to(kind byte) io.Writer { return frameWriter{f, kind} }

type frameWriter struct {
	f    *framer
	kind byte
}

func (w frameWriter) Write(p []byte) (int, error) {
	for n := 0; n < len(p); n += maxFrame {
		if err := w.f.frame(w.kind, p[n:min(n+maxFrame, len(p))]); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

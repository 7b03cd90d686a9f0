package blockio

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// maxAtOnce bounds the operations that are served at the same time.
const maxAtOnce = 64

// ServeFile opens a block device, past the page cache or not, and serves it to
// the Remote at the other end of r and w until r ends. The other end learns, too,
// why it could not be opened.
func ServeFile(path string, throughCache bool, r io.Reader, w io.Writer) error {
	open := Open
	if throughCache {
		open = OpenCached
	}
	d, err := open(path)
	if err != nil {
		text := err.Error()
		_, werr := w.Write(append(frame{code: number(err), size: uint32(len(text))}.put(nil), text...))
		return errors.Join(err, werr)
	}
	return errors.Join(Serve(d, r, w), d.Close())
}

// Serve serves a device, each operation in a goroutine of its own: one that
// waits must not keep others waiting. It returns when r has ended and all of
// them have.
func Serve(d Device, r io.Reader, w io.Writer) error {
	if _, err := w.Write(frame{}.put(nil)); err != nil {
		return err
	}
	var sending sync.Mutex
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, maxAtOnce)
	for {
		f, err := readFrame(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("serve a block device: %w", err)
		}
		data := make([]byte, f.size)
		if _, err := io.ReadFull(r, data); err != nil {
			return fmt.Errorf("serve a block device: %w", err)
		}
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			read, err := do(d, f, data)
			head := frame{code: number(err), tag: f.tag, size: uint32(len(read))}
			sending.Lock()
			defer sending.Unlock()
			_, _ = w.Write(append(head.put(nil), read...)) // or nobody is there who waits for it
		})
	}
}

// do does what the frame asks for.
func do(d Device, f frame, data []byte) (read []byte, err error) {
	switch operation(f.code) {
	case opRead:
		if f.length < 0 || f.length > MaxBytes {
			return nil, numbered(22)
		}
		read = make([]byte, f.length)
		if _, err := d.ReadAt(read, f.off); err != nil {
			return nil, err
		}
		return read, nil
	case opWrite:
		_, err = d.WriteAt(data, f.off)
	case opFUA:
		_, err = d.WriteFUA(data, f.off)
	case opSync:
		err = d.Sync()
	case opDiscard:
		err = d.Discard(f.off, f.length)
	case opZero:
		err = d.ZeroOut(f.off, f.length)
	default:
		err = numbered(22)
	}
	return nil, err
}

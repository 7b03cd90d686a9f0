package dm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
)

// Marks that end what is read of a log: the kernel's own, when the target goes,
// and ours, while it is there.
const (
	kernelEnd = "dm-log-writes-end"
	logEnd    = "etcdlab-log-end"
)

// logWithin bounds the wait for the kernel to write a mark.
const logWithin = 10 * time.Second

var errNoLog = errors.New("the device records no log: open it with a log device")

func (d *Device) logStatus() (LogStatus, error) {
	lines, err := d.control.Status(d.name)
	if err != nil {
		return LogStatus{}, err
	}
	if len(lines) != 1 || lines[0].Type != "log-writes" {
		return LogStatus{}, errNoLog
	}
	return ParseLogStatus(lines[0].Text)
}

// quote keeps the words of a message's argument together.
var quote = strings.NewReplacer(`\`, `\\`, " ", `\ `)

// Mark puts a note into the log.
func (d *Device) Mark(text string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mark(text)
}

func (d *Device) mark(text string) error {
	if d.logDevice == "" {
		return errNoLog
	}
	if _, err := d.control.Message(d.name, 0, "mark "+quote.Replace(text)); err != nil {
		return fmt.Errorf("mark the log of %s: %w", d.name, err)
	}
	return nil
}

// WriteLog writes the log as it is now: of a disk with power, all that a flush
// covers, for the kernel logs a write only then; of one without, everything up
// to the cut. Once the disk is restored or its table changed it begins anew.
func (d *Device) WriteLog(w io.Writer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, l, err := d.openLog()
	if err != nil {
		return fmt.Errorf("write the log of %s: %w", d.name, err)
	}
	defer r.Close()
	return copyLog(w, r, l, 0)
}

// openLog reads the log from its device. A disk with power gets a mark first,
// with which the kernel writes how many entries there are.
func (d *Device) openLog() (*os.File, *disk.Log, error) {
	if d.logDevice == "" {
		return nil, nil, errNoLog
	}
	end := kernelEnd
	if d.powered && !d.closed {
		s, err := d.logStatus()
		if err != nil {
			return nil, nil, fmt.Errorf("it records nothing while faults are armed: %w", err)
		}
		if s.Disabled {
			return nil, nil, errors.New("it is not whole: its device is full or failed: make it larger")
		}
		end = logEnd
		if err := d.mark(logEnd); err != nil {
			return nil, nil, err
		}
	}
	f, err := os.OpenFile(d.logDevice, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	for stop := time.Now().Add(logWithin); err == nil; time.Sleep(2 * time.Millisecond) {
		// The kernel writes below the cache through which this reads, and the
		// number of entries after the entries.
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKFLSBUF, 0); errno != 0 {
			err = errno
			break
		}
		l, readErr := disk.OpenLog(f, size)
		if readErr == nil {
			if n := len(l.Entries); n > 0 && l.Entries[n-1].Text == end {
				return f, l, nil
			}
			readErr = fmt.Errorf("it does not end in the mark %s", end)
		}
		if time.Now().After(stop) {
			err = fmt.Errorf("%w, after %v; its device may be full", readErr, logWithin)
		}
	}
	return nil, nil, errors.Join(err, f.Close())
}

// copyLog writes a log without its first entries.
func copyLog(w io.Writer, r io.ReaderAt, l *disk.Log, first int) error {
	head := make([]byte, l.SectorSize)
	if _, err := r.ReadAt(head, 0); err != nil {
		return err
	}
	tail := l.Entries[first:]
	binary.LittleEndian.PutUint64(head[16:], uint64(len(tail)))
	if _, err := w.Write(head); err != nil || len(tail) == 0 {
		return err
	}
	from, last := tail[0].Offset-l.SectorSize, tail[len(tail)-1]
	_, err := io.Copy(w, io.NewSectionReader(r, from, last.Offset+last.DataBytes()-from))
	return err
}

// leadBytes is how much of the log before the uncovered writes a cut's log has,
// cutBytes how long it may be altogether.
const (
	leadBytes = 1 << 20
	cutBytes  = 64 << 20
)

// readCutLog reads what led to the cut.
func (d *Device) readCutLog() ([]byte, error) {
	if d.logDevice == "" {
		return nil, errNoLog
	}
	r, l, err := d.openLog()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	n := len(l.Entries)
	end := l.Entries[n-1].Offset + l.Entries[n-1].DataBytes()
	from := end
	if u := l.Uncovered(uint64(n)); len(u) > 0 {
		from = u[0].Offset - l.SectorSize
	}
	from = max(from-leadBytes, end-cutBytes)
	first := 0
	for first < n-1 && l.Entries[first].Offset-l.SectorSize < from {
		first++
	}
	var b bytes.Buffer
	if err := copyLog(&b, r, l, first); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// WriteCutLog writes what led to the last cut: the writes that no flush covered
// and up to 1 MiB before them, in the format of dm-log-writes. What the cut
// swallowed is not in it: that never reached the target that records.
func (d *Device) WriteCutLog(w io.Writer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.cutLogErr != nil:
		return fmt.Errorf("write the log of the last cut of %s: %w", d.name, d.cutLogErr)
	case len(d.cutLog) == 0:
		return fmt.Errorf("write the log of the last cut of %s: no cut was restored since it was opened", d.name)
	}
	_, err := w.Write(d.cutLog)
	return err
}

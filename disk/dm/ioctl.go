package dm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// The commands, by their numbers in Linux's include/uapi/linux/dm-ioctl.h.
type command uint32

const (
	cmdVersion      command = 0
	cmdListDevices  command = 2
	cmdDevCreate    command = 3
	cmdDevRemove    command = 4
	cmdDevSuspend   command = 6 // and resume, without the flag
	cmdDevStatus    command = 7
	cmdTableLoad    command = 9
	cmdTableStatus  command = 12
	cmdListVersions command = 13
	cmdTargetMsg    command = 14
)

func (c command) String() string {
	for name, n := range map[string]command{
		"version": cmdVersion, "list devices": cmdListDevices, "create": cmdDevCreate, "remove": cmdDevRemove,
		"suspend or resume": cmdDevSuspend, "status": cmdDevStatus, "load a table": cmdTableLoad,
		"table status": cmdTableStatus, "list targets": cmdListVersions, "message": cmdTargetMsg,
	} {
		if n == c {
			return name
		}
	}
	return fmt.Sprintf("command %d", uint32(c))
}

// request is the ioctl's number: _IOWR(0xfd, command, struct dm_ioctl).
func (c command) request() uintptr { return 3<<30 | headBytes<<16 | 0xfd<<8 | uintptr(c) }

// Flags of struct dm_ioctl.
const (
	flagReadOnly       = 1 << 0
	flagSuspend        = 1 << 1
	flagStatusTable    = 1 << 4
	flagActive         = 1 << 5
	flagInactive       = 1 << 6
	flagBufferFull     = 1 << 8
	flagSkipLockFS     = 1 << 10
	flagNoFlush        = 1 << 11
	flagDataOut        = 1 << 16
	flagDeferredRemove = 1 << 17
)

// Sizes of the structures and of the fields in them. The layout is that of all
// little-endian machines that Go runs Linux on.
const (
	headBytes   = 312 // struct dm_ioctl, with its 7 bytes of padding
	specBytes   = 40  // struct dm_target_spec
	nameBytes   = 128
	nameAt      = 48
	targetBytes = 16
	// alignment of what follows one another in the data
	alignTo = 8
)

// head is struct dm_ioctl, as far as it is used.
type head struct {
	Flags   uint32
	Targets uint32
	Open    int32
	Event   uint32
	Dev     uint64
	Name    string
}

// Version is the version of the interface that is asked for: the oldest of the
// major that the kernel has; it answers with its own.
var interfaceVersion = [3]uint32{4, 0, 0}

// encode makes the buffer of an ioctl: the head, data, and room for an answer.
func (h head) encode(data []byte, room int) []byte {
	b := make([]byte, headBytes+max(len(data), room))
	le := binary.LittleEndian
	for i, v := range interfaceVersion {
		le.PutUint32(b[4*i:], v)
	}
	le.PutUint32(b[12:], uint32(len(b)))
	le.PutUint32(b[16:], headBytes)
	le.PutUint32(b[20:], h.Targets)
	le.PutUint32(b[28:], h.Flags)
	le.PutUint32(b[32:], h.Event)
	le.PutUint64(b[40:], h.Dev)
	copy(b[nameAt:nameAt+nameBytes-1], h.Name)
	copy(b[headBytes:], data)
	return b
}

// decode reads what the kernel left in the buffer.
func decode(b []byte) (h head, data []byte, err error) {
	if len(b) < headBytes {
		return h, nil, fmt.Errorf("the kernel's answer has %d bytes, a head has %d", len(b), headBytes)
	}
	le := binary.LittleEndian
	size, start := uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:]))
	h = head{
		Targets: le.Uint32(b[20:]), Open: int32(le.Uint32(b[24:])), Flags: le.Uint32(b[28:]),
		Event: le.Uint32(b[32:]), Dev: le.Uint64(b[40:]), Name: text(b[nameAt : nameAt+nameBytes]),
	}
	if size < headBytes {
		return h, nil, nil // no data: the size is that of a head without its padding
	}
	if size > uint64(len(b)) || start > size {
		return h, nil, fmt.Errorf("the kernel's answer says that data is at %d to %d of %d bytes", start, size, len(b))
	}
	return h, b[start:size], nil
}

// text is what stands before the first zero byte.
func text(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// encodeTable makes the data of a table load. Each spec says how far away the
// next one begins; in an answer they say where, from the first one.
func encodeTable(t Table) []byte {
	var out []byte
	le := binary.LittleEndian
	for _, s := range t {
		params := s.Target.Params()
		n := aligned(specBytes + len(params) + 1)
		b := make([]byte, n)
		le.PutUint64(b[0:], s.Start)
		le.PutUint64(b[8:], s.Length)
		le.PutUint32(b[20:], uint32(n))
		copy(b[24:24+targetBytes-1], s.Target.Type())
		copy(b[specBytes:], params)
		out = append(out, b...)
	}
	return out
}

func aligned(n int) int { return (n + alignTo - 1) / alignTo * alignTo }

// Line is one segment of a device's table as the kernel tells it: with its
// parameters, or with its status in their place.
type Line struct {
	Start, Length uint64 // sectors
	Type          string
	Text          string
}

// decodeLines reads the data of a table status.
func decodeLines(data []byte, count uint32) ([]Line, error) {
	le := binary.LittleEndian
	var lines []Line
	at := uint64(0)
	for i := range count {
		if at+specBytes > uint64(len(data)) {
			return nil, fmt.Errorf("the kernel's table ends in segment %d of %d", i, count)
		}
		b := data[at:]
		lines = append(lines, Line{
			Start: le.Uint64(b[0:]), Length: le.Uint64(b[8:]), Type: text(b[24 : 24+targetBytes]), Text: strings.TrimSpace(text(b[specBytes:])),
		})
		next := uint64(le.Uint32(b[20:]))
		if next <= at && i+1 < count {
			return nil, fmt.Errorf("segment %d of the kernel's table is followed by one before it", i)
		}
		at = next
	}
	return lines, nil
}

// Name is a device that exists.
type Name struct {
	Name string
	Dev  Number
}

// decodeNames reads the data of a device list.
func decodeNames(data []byte) ([]Name, error) {
	const fixed = 12
	if len(data) == 0 {
		return nil, nil
	}
	var names []Name
	le := binary.LittleEndian
	for at := uint64(0); ; {
		if at+fixed > uint64(len(data)) {
			return nil, fmt.Errorf("the kernel's list of devices ends in the %dth", len(names)+1)
		}
		b := data[at:]
		dev, next := le.Uint64(b[0:]), uint64(le.Uint32(b[8:]))
		if dev == 0 && len(names) == 0 {
			return nil, nil // there are none
		}
		names = append(names, Name{text(b[fixed:]), number(dev)})
		if next == 0 {
			return names, nil
		}
		at += next
	}
}

// Version of a target, or of the interface.
type Version [3]uint32

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// decodeVersions reads the data of a list of targets.
func decodeVersions(data []byte) (map[string]Version, error) {
	const fixed = 16
	targets := map[string]Version{}
	le := binary.LittleEndian
	for at := uint64(0); ; {
		if at+fixed > uint64(len(data)) {
			return nil, fmt.Errorf("the kernel's list of targets ends after %d", len(targets))
		}
		b := data[at:]
		next := uint64(le.Uint32(b[0:]))
		targets[text(b[fixed:])] = Version{le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:])}
		if next == 0 {
			return targets, nil
		}
		at += next
	}
}

// encodeMessage makes the data of a message to the target at a sector; one that
// begins with @ is for device mapper itself.
func encodeMessage(sector uint64, message string) []byte {
	b := make([]byte, 8, 8+len(message)+1)
	binary.LittleEndian.PutUint64(b, sector)
	return append(append(b, message...), 0)
}

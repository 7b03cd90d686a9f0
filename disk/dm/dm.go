// Package dm is the front of a disk that the kernel's device mapper makes fail:
// the ioctls of /dev/mapper/control without dmsetup, tables of the targets
// linear, flakey, error, delay and log-writes, and a device that is moved
// between them while a file system is mounted on it.
//
// It is no disk with a volatile cache. What was written before a cut stays,
// flushed or not, and all that reaches the device after it is lost: the one cut
// policy is drop. The others come from replaying the log of a device that
// records one.
package dm

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/etcdlab/etcdlab/disk"
)

// Sector is the unit of all addresses in a table, in bytes.
const Sector = disk.SectorSize

// Prefix begins the name of every device that etcdlab makes.
const Prefix = "etcdlab-"

// MissingError says that this machine has no device mapper, or lacks a target.
type MissingError struct {
	What string
	Get  string // how to get it
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is missing: %s", e.What, e.Get)
}

// UnsupportedError is the typed skip: device mapper cannot do that.
type UnsupportedError struct {
	What   string
	Reason string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("device mapper cannot do %s: %s", e.What, e.Reason)
}

// Number is a block device's number, which a table names it by: names of nodes
// differ between a container and its host.
type Number struct{ Major, Minor uint32 }

func (n Number) String() string { return fmt.Sprintf("%d:%d", n.Major, n.Minor) }

// ParseNumber reads MAJOR:MINOR.
func ParseNumber(s string) (Number, error) {
	major, minor, ok := strings.Cut(s, ":")
	a, errA := strconv.ParseUint(major, 10, 12)
	b, errB := strconv.ParseUint(minor, 10, 20)
	if !ok || errA != nil || errB != nil {
		return Number{}, fmt.Errorf("read the device number %q: want MAJOR:MINOR, such as 254:0", s)
	}
	return Number{uint32(a), uint32(b)}, nil
}

// number takes apart what the ioctls call a huge-encoded device number.
func number(dev uint64) Number {
	return Number{Major: uint32(dev>>8) & 0xfff, Minor: uint32(dev&0xff) | uint32(dev>>12)&0xfff00}
}

func checkName(name string) error {
	switch {
	case name == "" || len(name) >= nameBytes:
		return fmt.Errorf("the device name %q: want 1 to %d bytes", name, nameBytes-1)
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == '\\' }) || name == "control" || name[0] == '.':
		return fmt.Errorf("the device name %q: letters, digits, dots and dashes only", name)
	}
	return nil
}

// ProfileName stands where the engine's disks name their profile.
const ProfileName = "dm"

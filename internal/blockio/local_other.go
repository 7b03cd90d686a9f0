//go:build !linux

package blockio

import (
	"errors"
	"fmt"
)

// Open needs Linux.
func Open(path string) (Device, error) {
	return nil, fmt.Errorf("open %s: block devices of disks need Linux: %w", path, errors.ErrUnsupported)
}

// OpenCached needs Linux.
func OpenCached(path string) (Device, error) { return Open(path) }

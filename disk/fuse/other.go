//go:build !linux

package fuse

import (
	"context"
	"errors"

	"github.com/etcdlab/etcdlab/disk"
)

var errLinux = errors.New("the FUSE and loop front of a disk needs Linux: use the provider docker or remote")

// Device is a disk that is attached.
type Device struct{}

// Attach needs Linux.
func Attach(context.Context, *disk.Engine, string) (*Device, error) { return nil, errLinux }

// Path is the block device.
func (*Device) Path() string { return "" }

// Detach needs Linux.
func (*Device) Detach(context.Context) error { return errLinux }

// CleanUp needs Linux.
func CleanUp(context.Context, string) error { return errLinux }

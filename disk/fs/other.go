//go:build !linux

package fs

import (
	"context"
	"errors"
)

var errLinux = errors.New("mounting the file system of a disk needs Linux: use the provider docker or remote")

func checkKernel(string) error { return errLinux }

// Mount needs Linux.
func Mount(context.Context, string, string, string) error { return errLinux }

// Unmount needs Linux.
func Unmount(context.Context, string) error { return errLinux }

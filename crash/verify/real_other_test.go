//go:build !linux

package verify

import "syscall"

func dieWithTest() *syscall.SysProcAttr { return nil }

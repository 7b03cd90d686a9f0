//go:build !linux

package images

import "os/exec"

func inRoot(*exec.Cmd, string) {}

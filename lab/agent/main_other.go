//go:build !linux

package agent

import (
	"context"
	"errors"
)

// Main says that agents run on Linux only.
func Main(context.Context, []string) error {
	return errors.New("run an agent: its disks, control groups and namespaces need Linux")
}

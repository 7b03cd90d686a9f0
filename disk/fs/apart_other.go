//go:build !linux

package fs

import (
	"context"
	"os/exec"
)

func apart(ctx context.Context, _, tool string, args []string) *exec.Cmd {
	return exec.CommandContext(ctx, tool, args...)
}

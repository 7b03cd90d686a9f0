package bench

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// mountLoop mounts an image as a user would, with mount's own loop device,
// which goes when it is unmounted.
func mountLoop(ctx context.Context, image, dir string) (func() error, error) {
	out, err := exec.CommandContext(ctx, "mount", "-o", "loop", image, dir).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w: %s", image, err, strings.TrimSpace(string(out)))
	}
	return func() error {
		out, err := exec.Command("umount", dir).CombinedOutput()
		if err != nil {
			return fmt.Errorf("unmount %s: %w: %s", dir, err, strings.TrimSpace(string(out)))
		}
		return nil
	}, nil
}

package crash

import (
	"context"
	"fmt"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/schedule"
)

// until waits for the condition of a step and says what was seen.
func until(ctx context.Context, condition string, s *fault.Scene) (string, error) {
	switch condition {
	case schedule.UntilSnapshot:
		return s.PastSnapshot(ctx, nil)
	}
	return "", fmt.Errorf("unknown condition %q", condition)
}

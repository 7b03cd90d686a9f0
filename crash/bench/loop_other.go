//go:build !linux

package bench

import (
	"context"
	"errors"
)

func mountLoop(context.Context, string, string) (func() error, error) {
	return nil, errors.New("loop devices need Linux")
}

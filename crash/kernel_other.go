//go:build !linux

package crash

import "runtime"

func kernel() string { return runtime.GOOS }

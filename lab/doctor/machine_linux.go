package doctor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/internal/clock"
	"github.com/etcdlab/etcdlab/lab"
	"golang.org/x/sys/unix"
)

// qemuCommand is the emulator of this machine's own architecture.
var qemuCommand = "qemu-system-" + map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]

func qemu(ctx context.Context) (string, error) {
	return firstLine(ctx, nil, qemuCommand, "--version")
}

// freeSpace is what a lab of three members, or an image's build, may take.
const freeSpace = 2 << 30

func stateSpace(context.Context) (string, error) {
	dir, err := lab.StateRoot()
	if err != nil {
		return "", err
	}
	return space(dir, freeSpace)
}

func cacheSpace(context.Context) (string, error) {
	dir, err := os.UserCacheDir() // the cache of images is below it
	if err != nil {
		return "", err
	}
	return space(dir, freeSpace)
}

// space looks at the directory, or the nearest one above it that exists.
func space(dir string, need uint64) (string, error) {
	at := dir
	var fs unix.Statfs_t
	for {
		err := unix.Statfs(at, &fs)
		if errors.Is(err, os.ErrNotExist) && at != filepath.Dir(at) {
			at = filepath.Dir(at)
			continue
		}
		if err != nil {
			return "", fmt.Errorf("look at %s: %w", at, err)
		}
		break
	}
	if err := unix.Access(at, unix.W_OK); err != nil {
		return "", fmt.Errorf("write to %s: %w", at, err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	found := fmt.Sprintf("%.1f GiB free for %s", float64(free)/(1<<30), dir)
	if free < need {
		return found, errLacking
	}
	return found, nil
}

// monotonic reads the clock of the evidence. A clock source that is not read
// in userspace costs a system call; a coarse one cannot order operations.
func monotonic(context.Context) (string, error) {
	const reads = 1000
	step := int64(math.MaxInt64)
	start := clock.Now()
	for last, i := start, 0; i < reads; i++ {
		now := clock.Now()
		if now < last {
			return "", fmt.Errorf("CLOCK_MONOTONIC went back by %d ns", last-now)
		}
		if now > last {
			step = min(step, now-last)
		}
		last = now
	}
	each := clock.Since(start) / reads
	source, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	if err != nil {
		source = []byte("unknown source")
	}
	found := fmt.Sprintf("%s, %v a reading", strings.TrimSpace(string(source)), each)
	if step > int64(10*time.Microsecond) {
		return found + ", coarse", errLacking
	}
	return found, nil
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// followEvery is how often a log that is followed is looked at.
const followEvery = 100 * time.Millisecond

// Follow writes a file that others append to: what is in it now, or with follow
// on and on until ctx ends. One that is not there yet is empty.
func Follow(ctx context.Context, file string, w io.Writer, follow bool) error {
	var f *os.File
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	for {
		if f == nil {
			var err error
			if f, err = os.Open(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("read the log: %w", err)
			}
			if err != nil {
				f = nil
			}
		}
		if f != nil {
			if _, err := io.Copy(w, f); err != nil {
				return fmt.Errorf("copy the log: %w", err)
			}
		}
		if !follow {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followEvery):
		}
	}
}

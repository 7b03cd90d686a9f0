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
			if err := rewind(f); err != nil {
				return fmt.Errorf("read the log: %w", err)
			}
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

// rewind begins anew with a file that was emptied since it was read.
func rewind(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err == nil && st.Size() < at {
		_, err = f.Seek(0, io.SeekStart)
	}
	return err
}

// Trim empties a log that others append to; one that is not there is empty.
func Trim(file string) error {
	if err := os.Truncate(file, 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("empty the log: %w", err)
	}
	return nil
}

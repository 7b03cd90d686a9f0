package series

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// reduce makes the evidence fit its limits.
func (p *player) reduce(keepClean, keepOthers int64) error {
	p.mu.Lock()
	gone := surplus(p.state.evidence, keepClean, keepOthers)
	p.mu.Unlock()
	for _, e := range gone {
		if e.Verdict != verify.Pass {
			p.Progress("leg %d: %s, but there is no room to keep more such evidence; its verdict and description are kept", e.Leg, e.Verdict)
		}
		if dir := p.runDir(e.Leg); dir != "" {
			if err := strip(filepath.Join(p.Dir, dir)); err != nil {
				return fmt.Errorf("reduce the evidence of leg %d: %w", e.Leg, err)
			}
		}
		if err := p.note(&Entry{Kind: KindReduced, Leg: e.Leg}); err != nil {
			return err
		}
	}
	return nil
}

// strip leaves of a run directory its description and its verdict.
func strip(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.Name() != history.FileRun && e.Name() != history.FileVerdict {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// size is the room that a directory takes, in bytes: holes take none.
func size(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += st.Blocks * 512
			return nil
		}
		sum += info.Size()
		return nil
	})
	return sum, err
}

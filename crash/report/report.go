// Package report owns what people and machines read of a judged run: the page
// report.html, junit.xml and the summary on the terminal. It reads a run
// directory and verify's verdict, judges nothing itself, and writes the same
// bytes again for the same directory.
package report

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// Data is everything a report says, without where it came from. Its zero
// value, with a verdict, is a valid report: a run that broke early leaves
// little behind, and must still be reported.
type Data struct {
	Verdict *verify.Verdict
	Run     history.Run
	Events  []history.Event // in order of time
	Final   *history.Final  // nil when the run did not get that far
	Load    Load
	Files   []File   // of the run directory, in order of path
	Notes   []string // what of the directory is missing or could not be read
}

// File is one file of the run directory.
type File struct {
	Path string // relative to it, with slashes; a directory ends in one
	Size int64  // bytes; negative when it is not known
}

// Write judges nothing: it renders the verdict and what the run directory
// holds as report.html and junit.xml into that directory. Evidence that is
// missing or damaged is named in the page; an error means that a file could
// not be written.
func Write(dir string, v *verify.Verdict) error {
	d := Read(dir, v)
	var page, junit bytes.Buffer
	if err := Render(&page, d); err != nil {
		return fmt.Errorf("render %s of run %s: %w", history.FileReport, v.Run, err)
	}
	if err := JUnit(&junit, d); err != nil {
		return fmt.Errorf("render %s of run %s: %w", history.FileJUnit, v.Run, err)
	}
	if err := history.WriteFile(filepath.Join(dir, history.FileReport), page.Bytes()); err != nil {
		return fmt.Errorf("report run %s: %w; verify a writable copy of the run directory", v.Run, err)
	}
	if err := history.WriteFile(filepath.Join(dir, history.FileJUnit), junit.Bytes()); err != nil {
		return fmt.Errorf("report run %s: %w; verify a writable copy of the run directory", v.Run, err)
	}
	return nil
}

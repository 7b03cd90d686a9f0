package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

// Read gathers a report's data from a run directory. It has no error: what a
// broken run left is reported as far as it goes, and Notes name the rest.
func Read(dir string, v *verify.Verdict) Data {
	d := Data{Verdict: v}
	if run, err := history.ReadRun(dir); err != nil {
		d.note(history.FileRun, err)
	} else {
		d.Run = *run
	}
	events, err := history.ReadEvents(dir)
	if err != nil {
		d.note(history.FileEvents, err)
	}
	// Agents and controller append on their own; only the times are in order.
	slices.SortStableFunc(events, func(a, b history.Event) int { return cmp.Compare(a.Time, b.Time) })
	d.Events = events
	if final, err := history.ReadFinal(dir); err != nil {
		d.note(history.FileFinal, err)
	} else {
		d.Final = final
	}
	d.Load.Start = d.Run.Start
	if d.Load.Start == 0 && len(events) > 0 {
		d.Load.Start = events[0].Time
	}
	if err := d.readOps(filepath.Join(dir, history.FileOps)); err != nil {
		d.note(history.FileOps, err)
	}
	if d.Files, err = files(dir); err != nil {
		d.note("the run directory", err)
	}
	return d
}

func (d *Data) readOps(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := history.NewReader(f)
	if err != nil {
		return err
	}
	var op history.Op
	for {
		if err := r.Next(&op); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if d.Load.Start == 0 {
			d.Load.Start = op.Invoke
		}
		d.Load.Add(&op)
	}
	if r.Truncated() {
		return errors.New("its end is missing: the run was killed while it recorded")
	}
	return nil
}

// note keeps paths out of what it says: the directory may be moved, and its
// report must stay the same.
func (d *Data) note(name string, err error) {
	var p *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.Notes = append(d.Notes, name+" is missing.")
		return
	case errors.As(err, &p):
		err = p.Err
	}
	d.Notes = append(d.Notes, fmt.Sprintf("%s could not be read whole: %v.", name, err))
}

// files lists what a reader may want to open. Data directories and write logs
// are listed as one entry each, their size being that of all within.
func files(dir string) ([]File, error) {
	var out []File
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		switch {
		case e.IsDir():
			if whole(name) {
				out = append(out, File{Path: name + "/"})
			}
			return nil
		case strings.HasPrefix(base, ".") || slices.Contains([]string{history.FileReport, history.FileJUnit, history.FileVerdict}, name):
			// The report's own files would make it differ from one time to
			// the next, and the verdict may be written after it.
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if n := len(out); n > 0 && strings.HasSuffix(out[n-1].Path, "/") && strings.HasPrefix(name, out[n-1].Path) {
			out[n-1].Size += info.Size()
			return nil
		}
		out = append(out, File{Path: name, Size: info.Size()})
		return nil
	})
	out = append(out, File{Path: history.FileVerdict, Size: -1})
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out, err
}

// whole says whether a directory is listed as one: disks/NAME and what is
// below members/NAME.
func whole(name string) bool {
	parts := strings.Split(name, "/")
	return len(parts) == 2 && parts[0] == history.DirDisks || len(parts) == 3 && parts[0] == history.DirMembers
}

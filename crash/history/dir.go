package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Dir is the path of a run directory.
type Dir string

// Path joins names to the directory.
func (d Dir) Path(names ...string) string {
	return filepath.Join(append([]string{string(d)}, names...)...)
}

// Log is the path of a member's etcd.log.
func (d Dir) Log(member string) string { return d.Path(DirMembers, member, "etcd.log") }

// Data is the path of the copy of a member's data directory.
func (d Dir) Data(member string) string { return d.Path(DirMembers, member, "data") }

// WriteRun replaces dir's run.json.
func WriteRun(dir string, r *Run) error { return writeJSON(filepath.Join(dir, FileRun), r) }

// ReadRun reads dir's run.json.
func ReadRun(dir string) (*Run, error) {
	r := new(Run)
	return r, readJSON(filepath.Join(dir, FileRun), r)
}

// WriteFinal replaces dir's final.json.
func WriteFinal(dir string, f *Final) error { return writeJSON(filepath.Join(dir, FileFinal), f) }

// ReadFinal reads dir's final.json.
func ReadFinal(dir string) (*Final, error) {
	f := new(Final)
	return f, readJSON(filepath.Join(dir, FileFinal), f)
}

// writeJSON replaces a file by rename, so that a reader sees the old or the new
// one whole, whenever the writer is killed.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	return WriteFile(path, append(b, '\n'))
}

// WriteFile replaces a file of a run directory by rename, synced before.
func WriteFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}

// readJSON ignores unknown fields: an older etcdlab reads a newer run directory
// as far as it understands it.
func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %s: %w; the file is damaged", filepath.Base(path), err)
	}
	return nil
}

// AppendEvent adds one line to events.jsonl in a single write, so that lines of
// an O_APPEND file do not mix.
func AppendEvent(w io.Writer, e *Event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode the event %s: %w", e.Kind, err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("append the event %s: %w", e.Kind, err)
	}
	return nil
}

// ReadEvents reads dir's events.jsonl in the order written. A last line without
// its newline is one that a killed writer did not finish; it is left out.
func ReadEvents(dir string) ([]Event, error) {
	b, err := os.ReadFile(filepath.Join(dir, FileEvents))
	if err != nil {
		return nil, err
	}
	return parseEvents(b)
}

func parseEvents(b []byte) ([]Event, error) {
	var events []Event
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		if !whole {
			return events, nil
		}
		b = rest
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return events, fmt.Errorf("read %s: line %d: %w; the file is damaged", FileEvents, n, err)
		}
		events = append(events, e)
	}
}

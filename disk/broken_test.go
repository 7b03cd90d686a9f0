package disk

import "testing"

func TestBroken(t *testing.T) {
	dir := t.TempDir()
	if err := Create(Options{Dir: dir, Size: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	e, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	sector := make([]byte, SectorSize)
	write := func() error {
		if _, err := e.WriteAt(sector, 0); err != nil {
			return err
		}
		return e.Flush()
	}
	if err := e.SetFaults([]Fault{{Op: OpFlush}}); err != nil {
		t.Fatal(err)
	}
	if err := write(); err == nil || e.Broken() != "" {
		t.Errorf("an armed fault: %v; broken: %q", err, e.Broken())
	}
	if _, err := e.WriteAt(sector[1:], 0); err == nil || e.Broken() != "" {
		t.Errorf("a wrong request: %v; broken: %q", err, e.Broken())
	}
	if err := e.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	if err := e.image.File.Close(); err != nil { // as a full disk does, it takes no write
		t.Fatal(err)
	}
	if err := write(); err == nil || e.Broken() == "" {
		t.Errorf("a file that takes no write: %v; broken: %q", err, e.Broken())
	}
	if err := e.SetFaults(nil); err != nil || e.Broken() != "" {
		t.Errorf("healed: %v; broken: %q", err, e.Broken())
	}
	_ = e.Close()
}

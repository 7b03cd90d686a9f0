package history

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSizes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "data", "db")
	write := func(text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("0123456789")
	sizes, err := Sizes(dir)
	if err != nil || len(sizes) != 1 || sizes[0].Path != "data/db" || sizes[0].Size != 10 {
		t.Fatalf("%+v, %v", sizes, err)
	}
	if err := CheckSizes(dir, sizes); err != nil {
		t.Error(err)
	}
	for want, damage := range map[string]func(){
		"has 5 bytes and had 10": func() { write("01234") },
		"is missing":             func() { _ = os.Remove(file) },
	} {
		write("0123456789")
		damage()
		if err := CheckSizes(dir, sizes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one that says %q", err, want)
		}
	}
	if err := CheckSizes(dir, []FileSize{{Path: "../x"}}); err == nil || !strings.Contains(err.Error(), "leads out") {
		t.Error(err)
	}
	if sizes, err := Sizes(filepath.Join(dir, "nowhere")); err != nil || sizes != nil {
		t.Errorf("%v, %v", sizes, err)
	}
}

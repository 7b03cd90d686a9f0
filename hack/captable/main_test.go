package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	labReport  = `{"subject":"a","rows":[{"test":"up","works":true},{"test":"cut","works":false,"reason":"no disk"}]}`
	diskReport = `{"subject":"f","rows":[{"test":"flush","works":true}]}`
)

func TestTable(t *testing.T) {
	for name, c := range map[string]struct {
		second    string
		want, err string
	}{
		"whole":          {`{"subject":"b","rows":[{"test":"up","works":true},{"test":"cut","works":false,"reason":"no disk"}]}`, "| cut | skipped (1) | skipped (1) |", ""},
		"empty cell":     {`{"subject":"b","rows":[{"test":"up","works":true}]}`, "", "b has nothing for: cut"},
		"without reason": {`{"subject":"b","rows":[{"test":"up","works":false}]}`, "", "neither works nor has a reason"},
	} {
		dir := t.TempDir()
		for file, text := range map[string]string{"lab-a.json": labReport, "lab-b.json": c.second, "disk-f.json": diskReport} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		page, err := write(dir)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || !strings.Contains(string(page), c.want) || !strings.Contains(string(page), "1. no disk") {
			t.Errorf("%s: %v\n%s", name, err, page)
		}
	}
}

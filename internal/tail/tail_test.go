package tail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if got := File(file); !strings.Contains(got, "no such file") {
		t.Errorf("of no file: %q", got)
	}
	for _, c := range []struct{ name, log, want string }{
		{"empty", "", "  (nothing)"},
		{"short", "a\r\nb\r\n", "  a\n  b"},
		{"lines", strings.Repeat("x\n", 20) + "end\n", strings.Repeat("  x\n", 7) + "  end"},
		{"bytes", strings.Repeat("y", 5<<10), "  " + strings.Repeat("y", 4<<10)},
	} {
		if err := os.WriteFile(file, []byte(c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := File(file); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

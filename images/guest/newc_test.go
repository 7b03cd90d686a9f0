package guest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func archiveOf(t *testing.T, entries ...Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteArchive(&b, entries); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestArchiveRoundTrip(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := []Entry{
		{Name: "usr/bin/x", Mode: 0o755, Path: file},
		{Name: "init", Mode: fs.ModeSymlink | 0o777, Data: []byte("usr/bin/x")},
		{Name: "dev/console", Mode: fs.ModeDevice | fs.ModeCharDevice | 0o600, Major: 5, Minor: 1},
		{Name: "dev/vda", Mode: fs.ModeDevice | 0o600, Major: 254, Minor: 0},
		{Name: "tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
		{Name: "empty", Mode: 0o600},
	}
	data := archiveOf(t, in...)
	if len(data)%blockLen != 0 {
		t.Errorf("%d bytes, so that nothing can follow", len(data))
	}
	got, err := ReadArchive(data)
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{Name: "dev", Mode: fs.ModeDir | 0o755}, in[2], in[3], in[5], in[1], in[4],
		{Name: "usr", Mode: fs.ModeDir | 0o755}, {Name: "usr/bin", Mode: fs.ModeDir | 0o755},
		{Name: "usr/bin/x", Mode: 0o755, Data: []byte("from a file")},
	}
	equal := cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) })
	if d := cmp.Diff(want, got, equal); d != "" {
		t.Error(d)
	}
}

func TestArchivesFollowOneAnother(t *testing.T) {
	one, two := archiveOf(t, Entry{Name: "a", Data: []byte("1")}), archiveOf(t, Entry{Name: "etc/a", Data: []byte("22")})
	got, err := ReadArchive(append(one, two...))
	if err != nil || len(got) != 3 {
		t.Errorf("got %v, %v", got, err)
	}
	// One byte too many, and the kernel would say: invalid magic.
	if _, err := ReadArchive(append(append(one, 0), two...)); err == nil || !strings.Contains(err.Error(), "no multiple of 4") {
		t.Errorf("got %v", err)
	}
}

func TestArchiveIsTheSameInAnyOrder(t *testing.T) {
	a, b := Entry{Name: "a/b", Data: []byte("1")}, Entry{Name: "a-b", Data: []byte("2")}
	if !bytes.Equal(archiveOf(t, a, b), archiveOf(t, b, a)) {
		t.Error("the order of the entries shows")
	}
}

func TestArchiveRefuses(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(maxSize + 1); err != nil {
		t.Skip("missing: sparse files:", err)
	}
	for want, entries := range map[string][]Entry{
		"no name":             {{Name: "/etc/x"}},
		`".." is no name`:     {{Name: ".."}},
		`"a/../b" is no name`: {{Name: "a/../b"}},
		`"a/" is no name`:     {{Name: "a/"}},
		`is no name`:          {{Name: trailer}},
		"is no name for":      {{Name: strings.Repeat("x/", maxName/2) + "xy"}},
		"twice":               {{Name: "x"}, {Name: "x"}},
		"no directory":        {{Name: "x"}, {Name: "x/y"}},
		"4 GiB":               {{Name: "x", Path: big}},
		"no regular file":     {{Name: "x", Path: filepath.Dir(big)}},
		"no such file":        {{Name: "x", Path: big + "ger"}},
		"needs a target":      {{Name: "x", Mode: fs.ModeSymlink}},
		"no kind of file":     {{Name: "x", Mode: fs.ModeSocket}},
	} {
		if err := WriteArchive(io.Discard, entries); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// cpio is the other reader of the format.
func TestCpioReadsArchives(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("missing: cpio")
	}
	cmd := exec.Command("cpio", "-itv", "--quiet", "--numeric-uid-gid")
	cmd.Stdin = bytes.NewReader(archiveOf(t, Entry{Name: "etc/x", Mode: 0o640, Data: []byte("12345")}))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "-rw-r-----") || !strings.Contains(string(out), "etc/x") {
		t.Errorf("%v: %s", err, out)
	}
}

func FuzzReadArchive(f *testing.F) {
	var b bytes.Buffer
	if err := WriteArchive(&b, []Entry{{Name: "etc/x", Mode: 0o640, Data: []byte("12345")}, {Name: "l", Mode: fs.ModeSymlink, Data: []byte("etc")}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:150])
	f.Add([]byte(newcMagic + fmt.Sprintf("%0104d", 0)))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := ReadArchive(data)
		if err != nil {
			return
		}
		for _, e := range entries {
			if len(e.Name) > maxName || len(e.Data) > len(data) {
				t.Errorf("%.20q has %d bytes", e.Name, len(e.Data))
			}
		}
		// What the writer takes, the reader gives back.
		var again bytes.Buffer
		if WriteArchive(&again, entries) == nil {
			if _, err := ReadArchive(again.Bytes()); err != nil {
				t.Error(err)
			}
		}
	})
}

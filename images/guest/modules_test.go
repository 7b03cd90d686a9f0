package guest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// moduleOf is the smallest ELF file with that .modinfo: a header, the section's
// contents, the sections' names, and the table of three sections.
func moduleOf(fields ...string) []byte {
	info := []byte(strings.Join(fields, "\x00") + "\x00")
	names := []byte("\x00.modinfo\x00.shstrtab\x00")
	const header, section = 64, 64
	table := header + len(info) + len(names)
	b := make([]byte, header, table+3*section)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], 1)  // relocatable
	le.PutUint16(b[18:], 62) // x86-64
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[40:], uint64(table))
	le.PutUint16(b[52:], header)
	le.PutUint16(b[58:], section)
	le.PutUint16(b[60:], 3)
	le.PutUint16(b[62:], 2)
	b = append(append(b, info...), names...)
	add := func(name, kind uint32, at, size int) {
		s := make([]byte, section)
		le.PutUint32(s, name)
		le.PutUint32(s[4:], kind)
		le.PutUint64(s[24:], uint64(at))
		le.PutUint64(s[32:], uint64(size))
		b = append(b, s...)
	}
	add(0, 0, 0, 0)
	add(1, 1, header, len(info))
	add(10, 3, header+len(info), len(names))
	return b
}

// modulesDir makes the modules of a kernel.
func modulesDir(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func compressed(t *testing.T, data []byte, with func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := with(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func kernelModules(t *testing.T) map[string][]byte {
	return map[string][]byte{
		"modules.builtin":         []byte("kernel/fs/ext4/ext4.ko\nkernel/drivers/virtio/virtio_pci.ko\n"),
		"kernel/virtio.ko":        moduleOf("license=GPL", "depends="),
		"kernel/virtio_blk.ko.xz": compressed(t, moduleOf("depends=virtio"), func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }),
		"kernel/virtio-rng.ko.zst": compressed(t, moduleOf("depends=virtio,ext4"), func(w io.Writer) (io.WriteCloser, error) {
			return zstd.NewWriter(w)
		}),
		"kernel/virtio_net.ko.gz": compressed(t, moduleOf("depends=", "alias=virtio:d00000001v*"), func(w io.Writer) (io.WriteCloser, error) {
			return gzip.NewWriter(w), nil
		}),
		"kernel/fs/xfs.ko":    moduleOf("softdep=pre: libcrc nonesuch post: later", "alias=fs-xfs", "depends="),
		"kernel/libcrc.ko":    moduleOf("depends="),
		"kernel/dm-mod.ko":    moduleOf("depends="),
		"kernel/other.ko":     moduleOf("depends="),
		"kernel/dm-flakey.ko": moduleOf("depends=dm-mod"),
	}
}

func TestChoose(t *testing.T) {
	names := func(dir string) (all, lacks []string) {
		t.Helper()
		tr, err := readTree(dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := tr.choose(t.Context(), "6.1.0")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range c.list.Modules {
			word := m.Name
			if m.Boot {
				word += "!"
			}
			all = append(all, strings.Join(append([]string{word}, m.Needs...), " "))
			if _, err := readModinfo(c.data[m.Name]); err != nil {
				t.Errorf("%s is not as the kernel wants it: %v", m.Name, err)
			}
		}
		if len(c.list.Aliases) != 1 || c.list.Aliases[0].Name != "fs-xfs" {
			t.Errorf("aliases %v", c.list.Aliases)
		}
		return all, c.list.Lacks
	}
	files := kernelModules(t)
	want := []string{"virtio!", "virtio_blk! virtio", "virtio_net!", "virtio_rng! virtio", "dm_mod", "dm_flakey dm_mod", "libcrc", "xfs libcrc"}
	lacking := []string{"bridge", "btrfs", "dm_delay", "dm_log_writes", "dm_snapshot", "fuse", "loop", "nbd", "nf_tables", "sch_netem", "veth"}
	all, lacks := names(modulesDir(t, files))
	if d := cmp.Diff(want, all); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(lacking, lacks); d != "" {
		t.Error(d)
	}
	// An installed kernel says more: its modules.dep is the closure.
	files["modules.dep"] = []byte("kernel/virtio.ko:\nkernel/virtio_blk.ko.xz: kernel/virtio.ko\nkernel/virtio-rng.ko.zst: kernel/virtio.ko\n" +
		"kernel/virtio_net.ko.gz:\nkernel/libcrc.ko:\nkernel/fs/xfs.ko: kernel/other.ko\nkernel/other.ko:\nkernel/dm-mod.ko:\nkernel/dm-flakey.ko: kernel/dm-mod.ko\n")
	want = append(want[:7], "other", "xfs libcrc other")
	if all, _ = names(modulesDir(t, files)); cmp.Diff(want, all) != "" {
		t.Error(cmp.Diff(want, all))
	}
}

func TestChooseRefuses(t *testing.T) {
	for want, change := range map[string]func(map[string][]byte){
		"needs gone, which is not in":   func(f map[string][]byte) { f["kernel/dm-flakey.ko"] = moduleOf("depends=gone") },
		"it needs itself: dm_mod, dm_f": func(f map[string][]byte) { f["kernel/dm-mod.ko"] = moduleOf("depends=dm-flakey") },
		"take module xfs":               func(f map[string][]byte) { f["kernel/fs/xfs.ko"] = []byte("not a module") },
		"unpack ":                       func(f map[string][]byte) { f["kernel/virtio_blk.ko.xz"] = f["kernel/virtio_blk.ko.xz"][:40] },
	} {
		files := kernelModules(t)
		change(files)
		tr, err := readTree(modulesDir(t, files))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.choose(t.Context(), "6.1.0"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := readTree(t.TempDir()); err == nil || !strings.Contains(err.Error(), "modules.builtin") {
		t.Errorf("got %v", err)
	}
}

func FuzzModules(f *testing.F) {
	f.Add([]byte("kernel/a.ko: kernel/b.ko.xz\nkernel/b.ko.xz:\n"))
	f.Add([]byte("depends=a,b\x00softdep=pre: c post: d\x00alias=fs-x"))
	f.Add(moduleOf("depends=a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if files, needs, err := parseDep(data); err == nil && len(files) != len(needs) {
			t.Errorf("%d files, %d needs", len(files), len(needs))
		}
		for name := range parseBuiltin(data) {
			if strings.Contains(name, "/") {
				t.Errorf("name %q", name)
			}
		}
		for _, name := range parseModinfo(data).depends {
			if name == "" {
				t.Error("a dependency without a name")
			}
		}
		_, _ = readModinfo(data)
		if r := releaseIn(data); r != "" && !releaseForm.MatchString(r) {
			t.Errorf("release %q", r)
		}
		if out, err := inflate(data); err == nil && len(out) > maxModule {
			t.Errorf("%d bytes", len(out))
		}
	})
}

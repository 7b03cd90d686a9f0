package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/images"
)

// fakeTools are an apt and a dpkg that have one package, with a kernel of that
// release in it; each use is a line in the file that is given.
func fakeTools(t *testing.T, release, show string) (log string) {
	t.Helper()
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	image := filepath.Join(dir, "image")
	if err := os.WriteFile(image, bzImageOf(release), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"apt-cache": show,
		"apt-get":   `[ -z "$FAIL" ] || { echo "E: $FAIL" >&2; exit 100; }; touch package.deb`,
		"dpkg-deb": fmt.Sprintf(`mkdir -p "$3/boot" "$3/usr/lib/modules/%[1]s" "$3/usr/share/doc" && cp %[2]s "$3/boot/vmlinuz-%[1]s" &&
			touch "$3/usr/lib/modules/%[1]s/modules.builtin" "$3/usr/share/doc/x"`, release, image),
	} {
		text := "#!/bin/sh\necho " + name + " \"$@\" >>" + log + "\n" + script + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return log
}

const showMeta = `printf 'Package: linux-image-cloud\nDepends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)\nDescription: x\n'`

func TestPackagedKernel(t *testing.T) {
	log := fakeTools(t, "6.1.0-56-cloud-amd64", showMeta)
	s, err := images.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("FAIL", "Unable to fetch some archives")
	_, err = packagedKernel(t.Context(), s, runtime.GOARCH)
	if err == nil || !strings.Contains(err.Error(), "download linux-image-6.1.0-56-cloud-amd64: apt-get: exit status 100: E: Unable to fetch") {
		t.Errorf("got %v", err)
	}
	t.Setenv("FAIL", "")
	for range 2 {
		k, err := packagedKernel(t.Context(), s, runtime.GOARCH)
		if err != nil {
			t.Fatal(err)
		}
		if k.release != "6.1.0-56-cloud-amd64" || !hasModules(k.modules) || len(k.of) != 1 {
			t.Errorf("%+v", k)
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(k.image), "..", "usr", "share")); err == nil {
			t.Error("its documentation is in the cache")
		}
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "apt-get"); n != 2 {
		t.Errorf("apt-get ran %d times, want once failing and once not:\n%s", n, text)
	}
	// One architecture's kernel is not another's.
	if _, ok := cachedKernel(s, "riscv64"); ok {
		t.Error("a kernel for another architecture was found")
	}
}

func TestNoKernelAnywhere(t *testing.T) {
	s, err := images.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	fakeTools(t, "6.1.0", `echo "E: No packages found" >&2; exit 100`)
	// Of an architecture that this machine is not.
	_, err = findKernel(t.Context(), s, "riscv64", "")
	for _, want := range []string{"find a Linux kernel for riscv64 guests", "apt knows no linux-image-cloud-riscv64:riscv64", "No packages found",
		"this machine is " + runtime.GOOS, "hack/deps.sh vm", "--kernel FILE"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	fakeTools(t, "6.1.0", `echo Package: x`)
	if _, err = resolve(t.Context(), runtime.GOARCH); err == nil || !strings.Contains(err.Error(), "depends on no kernel") {
		t.Errorf("got %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err = packagedKernel(t.Context(), s, runtime.GOARCH); err == nil || err.Error() != "no apt-get here" {
		t.Errorf("got %v", err)
	}
}

package guest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/etcdlab/etcdlab/images"
)

// kernel is a kernel and where its modules are.
type kernel struct {
	image   string
	release string
	modules string   // .../lib/modules/RELEASE
	of      []string // keys of the artifact that it is in
}

func lacking(object, reason, next string) error {
	return &images.Error{Kind: images.Environment, Op: "find", Object: object, Reason: reason, Next: next}
}

// findKernel takes the named kernel, or else looks for a Debian package, in the
// cache or to be fetched, and then for this machine's own.
func findKernel(ctx context.Context, s *images.Store, arch, named string) (kernel, error) {
	if named != "" {
		return namedKernel(named)
	}
	k, err := packagedKernel(ctx, s, arch)
	if err == nil || ctx.Err() != nil {
		return k, err
	}
	k, hostErr := hostKernel(arch, "/boot", "/lib/modules")
	if hostErr == nil {
		return k, nil
	}
	return kernel{}, lacking("a Linux kernel for "+arch+" guests",
		fmt.Sprintf("no Debian package (%v); none of this machine's (%v)", err, hostErr),
		"run hack/deps.sh vm where there is a network, or name one with --kernel FILE, its modules in lib/modules/RELEASE beside it")
}

// Kinds and names of artifacts that kernels are.
const (
	imageKind = "vmlinuz"
	imageName = "vmlinuz"
)

// keep puts a kernel that is not in the cache there: a lab boots its machines
// again and again, whatever becomes of the file. Unlike a guest, which a newer
// etcdlab replaces, a kernel stays until somebody removes it.
func (k kernel) keep(ctx context.Context, s *images.Store, arch string) (kernel, error) {
	if len(k.of) > 0 {
		return k, nil
	}
	hash, err := hashFile(k.image)
	if err != nil {
		return k, err
	}
	a, err := s.Make(ctx, images.Making{Kind: imageKind, Name: "Linux " + k.release, Arch: arch, Inputs: map[string]string{"sha256": hash},
		Make: func(_ context.Context, _, out string) (any, error) {
			data, err := os.ReadFile(k.image)
			if err != nil {
				return nil, err
			}
			return nil, os.WriteFile(filepath.Join(out, imageName), data, 0o644)
		}})
	k.image, k.of = a.Path(imageName), []string{a.Key}
	return k, err
}

// namedKernel finds the modules of a kernel that the user named.
func namedKernel(file string) (kernel, error) {
	bad := func(reason, next string) (kernel, error) {
		return kernel{}, &images.Error{Kind: images.Usage, Op: "use kernel", Object: file, Reason: reason, Next: next}
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return kernel{}, err
	}
	release, err := releaseOf(file)
	if err != nil {
		return bad(err.Error(), "name a bzImage (amd64) or an Image (arm64)")
	}
	dir := filepath.Dir(file)
	places := []string{
		filepath.Join(dir, "lib", "modules", release),
		filepath.Join(filepath.Dir(dir), "lib", "modules", release),
		filepath.Join(dir, "modules", release),
		filepath.Join("/lib/modules", release),
	}
	for _, place := range places {
		if hasModules(place) {
			return kernel{image: file, release: release, modules: place}, nil
		}
	}
	return bad("no modules of "+release+" in "+strings.Join(places, ", "),
		"`make modules_install INSTALL_MOD_PATH="+dir+"` in the kernel's tree puts them there, those built in included")
}

func hasModules(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "modules.builtin"))
	return err == nil
}

// hostKernel is the newest kernel of this machine that has its modules.
func hostKernel(arch, boot, modules string) (kernel, error) {
	if runtime.GOOS != "linux" || arch != runtime.GOARCH {
		return kernel{}, fmt.Errorf("this machine is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	files, err := filepath.Glob(filepath.Join(boot, "vmlinuz-*"))
	if err != nil {
		return kernel{}, err
	}
	slices.SortFunc(files, newest)
	why := "no vmlinuz in " + boot
	for _, file := range files {
		release, err := releaseOf(file)
		switch {
		case err != nil:
			why = err.Error()
		case !hasModules(filepath.Join(modules, release)):
			why = file + " has no modules in " + modules
		default:
			return kernel{image: file, release: release, modules: filepath.Join(modules, release)}, nil
		}
	}
	return kernel{}, fmt.Errorf("%s", why)
}

// newest orders files of kernels by the version in their names, the newest first.
func newest(a, b string) int {
	return semver.Compare(version(b), version(a))
}

var versionIn = regexp.MustCompile(`(\d+\.\d+\.\d+)-?(\d*)`)

func version(file string) string {
	m := versionIn.FindStringSubmatch(filepath.Base(file))
	if m == nil {
		return ""
	}
	if m[2] == "" {
		return "v" + m[1]
	}
	return "v" + m[1] + "-" + m[2] // 6.1.0-56: as a pre-release, compared as a number
}

// releaseOf reads a kernel's release out of its image, or failing that out of
// its file's name.
func releaseOf(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if release := releaseIn(data); release != "" {
		return release, nil
	}
	if !looksLikeKernel(data) {
		return "", fmt.Errorf("%s is no kernel", file)
	}
	if name, ok := strings.CutPrefix(filepath.Base(file), "vmlinuz-"); ok {
		return name, nil
	}
	return "", fmt.Errorf("%s does not say its release, nor does its name (vmlinuz-RELEASE)", file)
}

// Places in the header of a bzImage, as the x86 boot protocol has them.
const (
	setupMagicAt   = 0x202
	setupVersionAt = 0x20e // relative to 0x200, of "6.1.0-56-cloud-amd64 (...) #1 ..."
	setupBase      = 0x200
	imageMagicAt   = 56 // of an arm64 Image
)

var linuxVersion = []byte("Linux version ")

func releaseIn(data []byte) string {
	if bzImage(data) {
		at := int(binary.LittleEndian.Uint16(data[setupVersionAt:])) + setupBase
		if at > setupBase && at < len(data) {
			return firstWord(data[at:])
		}
		return ""
	}
	// The first is the format that is printed at boot, with %s for the rest.
	for rest := data; arm64Image(data); {
		at := bytes.Index(rest, linuxVersion)
		if at < 0 {
			break
		}
		rest = rest[at+len(linuxVersion):]
		if word := firstWord(rest); word != "" && !strings.Contains(word, "%") {
			return word
		}
	}
	return ""
}

func looksLikeKernel(data []byte) bool {
	return bzImage(data) || arm64Image(data) || bytes.HasPrefix(data, []byte("MZ"))
}

func bzImage(data []byte) bool {
	return len(data) > setupVersionAt+2 && string(data[setupMagicAt:setupMagicAt+4]) == "HdrS"
}

func arm64Image(data []byte) bool {
	return len(data) > imageMagicAt+4 && string(data[imageMagicAt:imageMagicAt+4]) == "ARM\x64"
}

// firstWord is what is before a space, if that is a kernel's release.
func firstWord(data []byte) string {
	end := bytes.IndexAny(data[:min(len(data), 128)], " \x00")
	if end < 0 {
		return ""
	}
	word := string(data[:end])
	if !releaseForm.MatchString(word) {
		return ""
	}
	return word
}

var releaseForm = regexp.MustCompile(`^[0-9][0-9A-Za-z.+~_-]*$`)

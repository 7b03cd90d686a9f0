// Package guest makes what a virtual machine boots: a kernel, and an initramfs
// with its modules, etcd and its tools, and the agent as init.
package guest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/etcdlab/etcdlab/images"
)

// Options say what to boot beside what etcd's image decides.
type Options struct {
	// Kernel is a kernel's file; "" is that of a Debian package, or this
	// machine's.
	Kernel string
}

// Image is what a machine boots.
type Image struct {
	Kernel  string   `json:"kernel"` // bzImage or Image
	Initrd  string   `json:"initrd"` // newc, not compressed; others can be appended
	Release string   `json:"release"`
	Arch    string   `json:"arch"`
	Lacks   []string `json:"lacks"` // modules that were wanted and are not there
	// NoTools says, for each kind of file system that cannot be made in the
	// guest, why.
	NoTools map[string]string `json:"noTools,omitempty"`
}

const (
	guestKind  = "guest"
	initrdName = "initrd"
)

// recipe is raised whenever the same inputs give another guest.
const recipe = 4

// inputs is everything that decides what a guest is.
type inputs struct {
	Files  string `json:"files"` // hash of what is in the initramfs
	Arch   string `json:"arch"`
	Recipe int    `json:"recipe"`
}

// Build gives the guest that runs this etcd, from the cache or by building it:
// seconds, and a download of 30 MB where there is no kernel yet. Failures are
// of type *images.Error where somebody can do something about them.
func Build(ctx context.Context, s *images.Store, etcd images.Image, opts Options) (Image, error) {
	arch := cmp.Or(etcd.Arch, runtime.GOARCH)
	k, err := findKernel(ctx, s, arch, opts.Kernel)
	if err != nil {
		return Image{}, err
	}
	agent, err := s.Agent(ctx, arch)
	if err != nil {
		return Image{}, err
	}
	if k, err = k.keep(ctx, s, arch); err != nil {
		return Image{}, err
	}
	t, err := readTree(k.modules)
	if err != nil {
		return Image{}, err
	}
	modules, err := t.choose(ctx, k.release)
	if err != nil {
		return Image{}, err
	}
	tools, err := s.Tools(ctx, arch)
	if err != nil {
		return Image{}, err
	}
	files := contents(etcd, agent, tools.Files, modules)
	in := inputs{Arch: arch, Recipe: recipe}
	if in.Files, err = hashEntries(files); err != nil {
		return Image{}, err
	}
	made := false
	a, err := s.Make(ctx, images.Making{Kind: guestKind, Name: "etcd " + etcd.Version + ", Linux " + k.release, Arch: arch,
		Of: append([]string{etcd.Key}, k.of...), Inputs: in,
		Make: func(_ context.Context, work, out string) (any, error) {
			made = true
			tell(s, "writing the initramfs for Linux "+k.release)
			small, err := trimmed(files, work)
			if err != nil {
				return nil, err
			}
			return Image{Release: k.release, Arch: arch, Lacks: append([]string{}, modules.list.Lacks...)}, write(filepath.Join(out, initrdName), func(w io.Writer) error { return WriteArchive(w, small) })
		}})
	if err != nil {
		return Image{}, err
	}
	if made {
		s.Prune(a)
	}
	var img Image
	if err := json.Unmarshal(a.Facts, &img); err != nil {
		return Image{}, fmt.Errorf("read guest %s: %w", a.Dir, err)
	}
	img.Kernel, img.Initrd = k.image, a.Path(initrdName)
	img.NoTools = tools.Lacks
	return img, nil
}

func tell(s *images.Store, line string) {
	if s.Progress != nil {
		s.Progress(line)
	}
}

// hashEntries is the hash of all that WriteArchive writes.
func hashEntries(files []Entry) (string, error) {
	sum := sha256.New()
	for _, e := range files {
		fmt.Fprintf(sum, "%q %v %d:%d %d\n", e.Name, e.Mode, e.Major, e.Minor, len(e.Data))
		_, _ = sum.Write(e.Data)
		if e.Path == "" {
			continue
		}
		hash, err := hashFile(e.Path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, hash)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func write(path string, with func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(with(f), f.Close())
}

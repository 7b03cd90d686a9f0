package images

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// Patch is a unified diff of an etcd tree, with paths from its top as git
// writes them. What it adds may have failpoints.
type Patch struct {
	Name string
	Diff []byte
}

// builtin are the patches that this program brings along.
//
//go:embed patches/*.patch
var builtin embed.FS

// maxPatch bounds a patch's file.
const maxPatch = 4 << 20

// BuiltinPatches lists the names of the patches that are built in.
func BuiltinPatches() []string {
	entries, err := builtin.ReadDir("patches")
	if err != nil {
		panic(err) // it is in the binary
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".patch"))
	}
	return names
}

// ReadPatches reads patches: each is a file, with a dot or a slash in its name,
// or one that is built in.
func ReadPatches(names []string) ([]Patch, error) {
	var all []Patch
	for _, name := range names {
		fail := func(reason, next string, err error) ([]Patch, error) {
			return nil, &Error{Kind: Usage, Op: "read patch", Object: name, Reason: reason, Next: next, Err: err}
		}
		if !strings.ContainsAny(name, `./\`) {
			b, err := builtin.ReadFile(path.Join("patches", name+".patch"))
			if err != nil {
				return fail("none of this name is built in",
					"they are "+strings.Join(BuiltinPatches(), ", ")+"; a file has a dot or a slash in its name", nil)
			}
			all = append(all, Patch{name, b})
			continue
		}
		st, err := os.Stat(name)
		if err != nil {
			return fail("cannot be read", "name a unified diff", err)
		}
		if st.Size() > maxPatch {
			return fail(fmt.Sprintf("has %d bytes; a patch has at most %d", st.Size(), maxPatch), "", nil)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return fail("cannot be read", "name a unified diff", err)
		}
		all = append(all, Patch{name, b})
	}
	return all, nil
}

// hashPatches is what stands for the patches in an image's inputs: their
// contents and order, not what their files are called.
func hashPatches(patches []Patch) string {
	if len(patches) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, p := range patches {
		fmt.Fprintf(sum, "%d\n", len(p.Diff))
		sum.Write(p.Diff)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func patchNames(patches []Patch) (names []string) {
	for _, p := range patches {
		names = append(names, p.Name)
	}
	return names
}

// apply changes the tree in dir. Its error names the file and the hunk.
func (p Patch) apply(dir string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	files, _, err := gitdiff.Parse(strings.NewReader(string(p.Diff)))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("there is no unified diff in it")
	}
	for _, f := range files {
		name := f.NewName
		if f.IsDelete {
			name = f.OldName
		}
		if err := applyFile(root, f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func applyFile(root *os.Root, f *gitdiff.File) error {
	var old []byte
	var err error
	switch {
	case f.IsBinary:
		return errors.New("it is a binary file; only text can be patched")
	case f.IsNew:
		if _, err := root.Lstat(f.NewName); err == nil {
			return errors.New("it is there already, and the patch makes it")
		}
	default:
		if old, err = root.ReadFile(f.OldName); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is not there; of a release only server/, etcdctl/ and etcdutl/ can be patched, of a local tree everything", f.OldName)
		} else if err != nil {
			return err
		}
	}
	patched, err := applyHunks(old, f.TextFragments)
	if err != nil {
		return err
	}
	if f.IsDelete || f.IsRename {
		if err := root.Remove(f.OldName); err != nil {
			return err
		}
	}
	if f.IsDelete {
		return nil
	}
	if err := root.MkdirAll(path.Dir(f.NewName), 0o755); err != nil {
		return err
	}
	return root.WriteFile(f.NewName, patched, 0o644)
}

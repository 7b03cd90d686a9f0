package history

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FileSize tells a file of the run directory from a copy of it that was cut
// short, which must not be taken for what etcd left. Contents are not summed:
// what they say is for the judge, whoever planted it.
type FileSize struct {
	Path string `json:"path"` // slashes, below the directory that was looked at
	Size int64  `json:"size"` // bytes
}

// Sizes gives every regular file below dir, in order of path. Nothing there is
// no error.
func Sizes(dir string) ([]FileSize, error) {
	var sizes []FileSize
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sizes = append(sizes, FileSize{filepath.ToSlash(rel), info.Size()})
		return nil
	})
	if os.IsNotExist(err) {
		return nil, nil
	}
	return sizes, err
}

// CheckSizes says which file below dir is not as long as it was. Files that are
// not in sizes do not matter.
func CheckSizes(dir string, sizes []FileSize) error {
	for _, want := range sizes {
		if !filepath.IsLocal(want.Path) {
			return fmt.Errorf("%q leads out of the directory", want.Path)
		}
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(want.Path)))
		switch {
		case os.IsNotExist(err):
			return fmt.Errorf("%s is missing", want.Path)
		case err != nil:
			return err
		case info.Size() != want.Size:
			return fmt.Errorf("%s has %d bytes and had %d", want.Path, info.Size(), want.Size)
		}
	}
	return nil
}

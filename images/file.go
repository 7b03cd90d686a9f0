package images

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"
)

// File is a file of an image and where its contents come from.
type File struct {
	Name string      `json:"name"` // absolute, in the image
	From string      `json:"-"`    // on this machine; "" for a link or a directory
	Link string      `json:"link,omitempty"`
	Mode fs.FileMode `json:"mode"`
	Sum  string      `json:"sum,omitempty"` // SHA-256 of the contents
}

// sum fills in the sums, sorts the files by name, and drops files that are
// there twice.
func sum(files []File) ([]File, error) {
	for i, f := range files {
		if f.From == "" || f.Sum != "" {
			continue
		}
		var err error
		if files[i].Sum, err = sumOf(f.From); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	return slices.CompactFunc(files, func(a, b File) bool { return a.Name == b.Name }), nil
}

func sumOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// epoch is the time of everything in an image.
var epoch = time.Unix(0, 0).UTC()

// writeTar writes the files, sorted by sum, with the directories above them.
// The same files give the same bytes.
func writeTar(to io.Writer, files []File) error {
	w := tar.NewWriter(to)
	written := map[string]bool{"/": true}
	for _, f := range files {
		for _, dir := range above(f.Name) {
			if written[dir] {
				continue
			}
			written[dir] = true
			if err := writeFile(w, File{Name: dir, Mode: fs.ModeDir | 0o755}); err != nil {
				return err
			}
		}
		written[f.Name] = true
		if err := writeFile(w, f); err != nil {
			return err
		}
	}
	return w.Close()
}

// above are the directories that a name is in, from the top.
func above(name string) []string {
	var dirs []string
	for dir := path.Dir(name); dir != "/" && dir != "."; dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

func writeFile(w *tar.Writer, f File) error {
	h := &tar.Header{Name: f.Name[1:], Mode: int64(f.Mode.Perm()), ModTime: epoch, Format: tar.FormatUSTAR}
	if f.Mode&fs.ModeSticky != 0 {
		h.Mode |= 0o1000
	}
	switch {
	case f.Mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
	case f.Link != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.Link
	default:
		return writeContents(w, h, f)
	}
	return w.WriteHeader(h)
}

func writeContents(w *tar.Writer, h *tar.Header, f File) error {
	from, err := os.Open(f.From)
	if err != nil {
		return err
	}
	defer from.Close()
	st, err := from.Stat()
	if err != nil {
		return err
	}
	h.Typeflag, h.Size = tar.TypeReg, st.Size()
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), from); err != nil {
		return err
	}
	if f.Sum != "" && hex.EncodeToString(sum.Sum(nil)) != f.Sum {
		return fmt.Errorf("%s changed while it was copied", f.From)
	}
	return nil
}

package images

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// manifestName is the file that says what an entry is.
const manifestName = "image.json"

// binaryNames are what every image has, in bin/.
var binaryNames = []string{"etcd", "etcdctl", "etcdutl"}

// decodeManifest reads an entry's manifest strictly: an entry of another
// program, or of another version of this one, is no entry.
func decodeManifest(b []byte) (Image, error) {
	var img Image
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&img); err != nil {
		return Image{}, err
	}
	if d.More() {
		return Image{}, fmt.Errorf("more after the manifest")
	}
	if img.Key != img.Inputs.key() {
		return Image{}, fmt.Errorf("key %q is not that of its inputs", img.Key)
	}
	return img, nil
}

// load reads the entry in dir. It fails if the manifest is not one, is another
// entry's, or if the binaries are not there at the size they were built with.
// Paths are those of dir: a cache may be moved.
func load(dir string) (Image, error) {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return Image{}, err
	}
	img, err := decodeManifest(b)
	if err != nil {
		return Image{}, fmt.Errorf("%s: %w", filepath.Join(dir, manifestName), err)
	}
	if img.Key != filepath.Base(dir) {
		return Image{}, fmt.Errorf("%s: manifest is that of %s", dir, img.Key)
	}
	size, err := img.place(dir)
	if err != nil {
		return Image{}, err
	}
	if size != img.Size {
		return Image{}, fmt.Errorf("%s: binaries have %d bytes, built were %d", dir, size, img.Size)
	}
	return img, nil
}

// place sets the image's paths to those in dir and gives the size of its
// binaries there in bytes.
func (img *Image) place(dir string) (size int64, err error) {
	img.Dir, img.Binaries = dir, map[string]string{}
	for _, name := range binaryNames {
		p := filepath.Join(dir, "bin", name)
		st, err := os.Stat(p)
		if err != nil {
			return 0, err
		}
		if !st.Mode().IsRegular() || st.Mode().Perm()&0o111 == 0 {
			return 0, fmt.Errorf("%s is no executable file", p)
		}
		img.Binaries[name], size = p, size+st.Size()
	}
	return size, nil
}

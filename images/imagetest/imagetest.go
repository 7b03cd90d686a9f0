// Package imagetest gives tests the real etcd builds of the machine's cache.
package imagetest

import (
	"testing"

	"github.com/etcdlab/etcdlab/images"
)

// Etcd gives the build of a version with failpoints, "" being the default
// version. A test that needs one which is not built is skipped: `make test`
// builds what the tests use.
func Etcd(t testing.TB, version string) images.Image {
	t.Helper()
	if version == "" {
		version = images.DefaultVersion
	}
	dir, err := images.DefaultDir()
	if err != nil {
		t.Skip("missing: a cache directory:", err)
	}
	store, err := images.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	img, found, err := store.Find(t.Context(), images.Request{Version: version})
	if err != nil || !found {
		t.Skipf("missing: etcd %s is not built; `etcdlab images build %s` builds it (%v)", version, version, err)
	}
	return img
}

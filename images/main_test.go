package images

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// killedEnv makes the test binary a builder that is to be killed: it starts a
// build in the cache that the variable names and never ends.
const killedEnv = "ETCDLAB_TEST_KILLED_BUILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedEnv); dir != "" {
		buildForever(dir)
	}
	goleak.VerifyTestMain(m)
}

func buildForever(dir string) {
	s, err := Open(dir)
	if err == nil {
		s.build = func(_ context.Context, _ plan, work, out string, _ func(string)) (Image, error) {
			if err := os.WriteFile(filepath.Join(out, "bin", "etcd"), []byte("half"), 0o755); err != nil {
				return Image{}, err
			}
			fmt.Println(work)
			time.Sleep(time.Hour)
			return Image{}, nil
		}
		_, err = s.Build(context.Background(), Request{Version: "v3.5.4"}, nil)
	}
	fmt.Println("ended:", err)
	os.Exit(1)
}

// fakeStore is a store whose recipe makes three little files instead of
// compiling, for tests of what the cache does; made counts its runs.
func fakeStore(t *testing.T, dir string, made *int) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.build = func(_ context.Context, p plan, _, out string, _ func(string)) (Image, error) {
		*made++
		return Image{Version: p.in.Version, Go: "go0", Failpoints: []Failpoint{{Name: "p"}}}, fakeBinaries(out)
	}
	return s
}

func fakeBinaries(out string) error {
	for _, name := range binaryNames {
		if err := os.WriteFile(filepath.Join(out, "bin", name), []byte("#!"+name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// left is what is in a directory of the cache.
func left(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

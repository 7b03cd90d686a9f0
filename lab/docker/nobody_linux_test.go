package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// The whole path with a controller that has nothing of this machine but the
// engine's socket: an ordinary user, without the control groups, FUSE or a
// right to namespaces. What then works, works from a machine that is no Linux.
func TestControllerIsNobody(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("missing: root, to become nobody")
	}
	for _, tool := range []string{"unshare", "setpriv"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("missing: ", err)
		}
	}
	f := newFixture(t, 1, nil)
	id, err := f.load(f.ctx, f.images["m1"], f.images["m1"].Container.Arch)
	if err != nil || id == "" {
		t.Fatal(err) // the cache is not nobody's to read
	}
	dir, err := os.MkdirTemp("", "etcdlab-nobody-*")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	home := filepath.Join(dir, "home")
	const nobody = 65534
	must(t, errors.Join(os.Chmod(dir, 0o755), os.Mkdir(home, 0o700), os.Chown(home, nobody, nobody)))
	self := filepath.Join(dir, "test")
	must(t, copyFile(self, os.Args[0]))
	stop := proxy(t, filepath.Join(dir, "docker.sock"), strings.TrimPrefix(f.host, "unix://"))
	defer stop()
	private := filepath.Join(dir, "private.sock")
	forbid := proxy(t, private, "/nowhere")
	defer forbid()
	must(t, os.Chmod(private, 0o600))
	binaries, err := json.Marshal(f.images["m1"])
	must(t, err)
	cmd := exec.CommandContext(f.ctx, "unshare", "--mount", "sh", "-c", `
		mount -t tmpfs -o mode=0 none /sys/fs/cgroup && mount -t tmpfs none /run && { [ ! -e /dev/fuse ] || mount --bind /dev/null /dev/fuse; } &&
		exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$0" -test.run '^TestAsNobody$' -test.v`, self)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "DOCKER_HOST=unix://" + dir + "/docker.sock", envNobody + "=" + string(binaries)}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !strings.Contains(string(out), "--- PASS: TestAsNobody") {
		t.Errorf("as nobody: %v", err)
	}
}

// TestAsNobody is run by the test above.
func TestAsNobody(t *testing.T) {
	data := os.Getenv(envNobody)
	if data == "" {
		t.Skip("is run by TestControllerIsNobody")
	}
	var b lab.Binaries
	must(t, json.Unmarshal([]byte(data), &b))
	// It truly has none of it.
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err == nil {
		if st, _ := f.Stat(); st.Sys().(*syscall.Stat_t).Rdev != unix.Mkdev(1, 3) {
			t.Error("nobody may use FUSE")
		}
		f.Close()
	}
	if err := os.Mkdir("/sys/fs/cgroup/etcdlab-nobody", 0o700); err == nil {
		t.Error("nobody may make control groups")
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err == nil {
		t.Error("nobody may make namespaces")
	}
	if os.Geteuid() == 0 {
		t.Fatal("nobody is root")
	}
	t.Run("without permission", func(t *testing.T) {
		t.Setenv("DOCKER_HOST", strings.Replace(os.Getenv("DOCKER_HOST"), "docker.sock", "private.sock", 1))
		p, err := New()
		must(t, err)
		defer p.Close()
		var env *lab.EnvironmentError
		if _, err := p.Platform(t.Context()); !errors.As(err, &env) || !strings.Contains(err.Error(), "group docker") {
			t.Error(err)
		}
	})
	p, err := New()
	must(t, err)
	defer p.Close()
	p.Progress = t.Logf
	s := &spec.Lab{Name: "dk-nobody", Members: spec.Count(3)}
	s.Disk.Size = 256 << 20
	s.Default()
	images := map[string]lab.Binaries{}
	for _, n := range names(s) {
		images[n] = b
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	defer func() { must(t, p.Down(context.WithoutCancel(ctx), s.Name)) }()
	start := time.Now()
	l, err := p.Up(ctx, s, images)
	must(t, err)
	defer closeAll(l)
	t.Logf("up of 3 members took %v", time.Since(start))
	powerLoss(t, ctx, p, l, disk.Drop, 1)
	for i := range l.Members {
		if i := info(t, l.Members[i]); i.State != lab.StateRunning {
			t.Errorf("%+v", i)
		}
	}
}

// proxy lets everybody who reaches the socket at path in to the engine.
func proxy(t *testing.T, path, engine string) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", path)
	must(t, err)
	must(t, os.Chmod(path, 0o666))
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer near.Close()
				far, err := net.Dial("unix", engine)
				if err != nil {
					return
				}
				defer far.Close()
				defer context.AfterFunc(ctx, func() { near.Close(); far.Close() })()
				var both sync.WaitGroup
				both.Go(func() { _, _ = io.Copy(far, near); _ = far.(*net.UnixConn).CloseWrite() })
				both.Go(func() { _, _ = io.Copy(near, far); _ = near.(*net.UnixConn).CloseWrite() })
				both.Wait()
			})
		}
	})
	return func() { cancel(); l.Close(); all.Wait() }
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// runInside runs a program in a container with exactly what a member gets but
// for the network, and returns its output.
func (f *fixture) runInside(t *testing.T, program string, args []string) (out string, status int64) {
	t.Helper()
	p := f.Provider
	with, err := p.prepare(f.ctx, f.spec, f.images)
	must(t, err)
	m := p.plan(f.spec, netip.MustParsePrefix("172.30.0.0/24"), f.images)[0] // of no matter
	must(t, p.makeVolume(f.ctx, m))
	l, err := labels(f.spec, m.name, m.addr.subnet.String(), p.Version, m.binaries)
	must(t, err)
	c, h := containerConfig(m, f.spec, with.ids[m.name], l), hostConfig(m, f.spec, with.machine)
	inside := m.paths.volume + "/" + filepath.Base(program)
	c.Entrypoint, c.WorkingDir = append([]string{inside}, args...), m.paths.volume
	h.NetworkMode, h.PortBindings, c.ExposedPorts = "none", nil, nil
	name := containerName(m.lab, m.name)
	_, err = p.api.ContainerCreate(f.ctx, c, h, nil, nil, name)
	must(t, err)
	defer p.api.ContainerRemove(context.Background(), name, container.RemoveOptions{Force: true})
	must(t, p.api.CopyToContainer(f.ctx, name, m.paths.volume, packed(t, program), container.CopyToContainerOptions{}))
	done, failed := p.api.ContainerWait(f.ctx, name, container.WaitConditionNextExit)
	must(t, p.api.ContainerStart(f.ctx, name, container.StartOptions{}))
	select {
	case w := <-done:
		status = w.StatusCode
	case err := <-failed:
		t.Fatal(err)
	}
	r, err := p.api.ContainerLogs(f.ctx, name, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	must(t, err)
	defer r.Close()
	var log bytes.Buffer
	_, err = stdcopy.StdCopy(&log, &log, r)
	must(t, err)
	return log.String(), status
}

func packed(t *testing.T, program string) *bytes.Buffer {
	t.Helper()
	data, err := os.ReadFile(program)
	must(t, err)
	out := new(bytes.Buffer)
	w := tar.NewWriter(out)
	must(t, w.WriteHeader(&tar.Header{Name: filepath.Base(program), Mode: 0o755, Size: int64(len(data))}))
	_, err = w.Write(data)
	must(t, err)
	must(t, w.Close())
	return out
}

// The disk suite passes with what a member's container is given, and nothing
// more.
func TestDiskConformanceInside(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, nil)
	program := filepath.Join(t.TempDir(), "fuse.test")
	ctx, cancel := context.WithTimeout(f.ctx, 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "../../disk/fuse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+f.images["m1"].Container.Arch)
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("missing: a go command that builds the disk suite: %v\n%s", err, out)
	}
	out, status := f.runInside(t, program, []string{"-test.run=^TestConformance$", "-test.v"})
	if status != 0 || !strings.Contains(out, "--- PASS: TestConformance/honest-4k") {
		t.Errorf("the disk suite ended with status %d:\n%s", status, out)
	}
	t.Logf("%d tests passed, %d were skipped", strings.Count(out, "--- PASS"), strings.Count(out, "--- SKIP"))
}

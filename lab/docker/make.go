package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/etcdlab/etcdlab/internal/tail"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

func (p *Provider) makeVolume(ctx context.Context, m *member) error {
	l, err := labels(m.spec, m.name, m.addr.subnet.String(), p.Version, m.binaries)
	if err != nil {
		return err
	}
	do, cancel := finish(ctx)
	defer cancel()
	v, err := p.api.VolumeCreate(do, volume.CreateOptions{Name: volumeName(m.lab, m.name), Labels: l})
	if err != nil {
		return p.explain(ctx, "make the volume of "+m.name, err)
	}
	// To create one that exists is no error.
	if v.Labels[labelLab] != m.lab {
		return lab.Misuse("make the volume of %s: a volume %s is there that is not of lab %s; remove it (docker volume rm %s), or use another name", m.name, v.Name, m.lab, v.Name)
	}
	return ctx.Err()
}

// makeContainer makes a member's container, not started.
func (p *Provider) makeContainer(ctx context.Context, m *member, with *prepared) error {
	l, err := labels(m.spec, m.name, m.addr.subnet.String(), p.Version, m.binaries)
	if err != nil {
		return err
	}
	do, cancel := finish(ctx)
	defer cancel()
	name := containerName(m.lab, m.name)
	_, err = p.api.ContainerCreate(do, containerConfig(m, m.spec, with.ids[m.name], l), hostConfig(m, m.spec, with.machine), networking(m, m.spec), nil, name)
	if err != nil && strings.Contains(err.Error(), "is already in use by container") {
		return lab.Misuse("make the container of %s: a container %s is there that is not of lab %s; remove it (docker rm -f %s), or use another name", m.name, name, m.lab, name)
	}
	if err != nil {
		return p.refused(ctx, m.name, m.spec, "make", err)
	}
	if m.spec.Disk.Kind == "plain" {
		if err := p.plug(ctx, m, true); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// fill puts into a member's new volume what its agent starts from.
func (p *Provider) fill(ctx context.Context, m *member, files map[string][]byte) error {
	data, err := m.archive(files)
	if err != nil {
		return err
	}
	do, cancel := finish(ctx)
	defer cancel()
	err = p.api.CopyToContainer(do, containerName(m.lab, m.name), m.paths.volume, bytes.NewReader(data), container.CopyToContainerOptions{})
	if err != nil {
		return p.explain(ctx, "copy the configuration to "+m.name, err)
	}
	return ctx.Err()
}

func (p *Provider) startContainer(ctx context.Context, s *spec.Lab, name string) error {
	do, cancel := finish(ctx)
	defer cancel()
	if err := p.api.ContainerStart(do, containerName(s.Name, name), container.StartOptions{}); err != nil {
		return p.refused(ctx, name, s, "start", err)
	}
	return ctx.Err()
}

// awaitAgent waits until the agent answers, or its container ends.
func (p *Provider) awaitAgent(ctx context.Context, m *member) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	const poll, look = 10 * time.Millisecond, 250 * time.Millisecond
	looked := time.Now()
	for {
		ask, stop := context.WithTimeout(ctx, infoTimeout)
		st, err := m.Status(ask)
		stop()
		if err == nil && st.Member == m.name && st.Lab == m.lab {
			return nil
		}
		if time.Since(looked) > look {
			looked = time.Now()
			c, failed := p.api.ContainerInspect(ctx, containerName(m.lab, m.name))
			if failed == nil && !c.State.Running {
				return p.ended(ctx, m, c.State.ExitCode)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start member %s: its agent is not ready after %v: %w; the container's log ends:\n%s", m.name, startTimeout, err, p.tail(ctx, m.name, m.lab))
		case <-time.After(poll):
		}
	}
}

// ended says why an agent ended as soon as it was started.
func (p *Provider) ended(ctx context.Context, m *member, status int) error {
	log := p.tail(ctx, m.name, m.lab)
	what := withheld(log)
	if what == "" || m.spec.Disk.Kind == "plain" {
		return fmt.Errorf("start member %s: its agent ended with status %d; the container's log ends:\n%s", m.name, status, log)
	}
	return &lab.EnvironmentError{
		Check: "container of " + m.name, Found: "that " + what + " was withheld or does not work:\n" + log + "\n",
		Needed: needed(), Get: "let the engine's machine give them, or use --disk plain, which needs none",
	}
}

// needed is what a fault disk asks of the engine, in words.
func needed() string {
	return "capabilities " + strings.Join(capabilities, ", ") + ", devices " + strings.Join(devices, ", ") + " and the device rule " + loopRule
}

// withheld finds in an agent's last words what it was not given, "" if it ended
// for something else.
func withheld(log string) string {
	last := log[strings.LastIndex(log, "etcdlab: ")+1:]
	for _, word := range []string{"SYS_ADMIN", "NET_ADMIN", "NET_RAW", "MKNOD", "/dev/fuse", "/dev/loop-control"} {
		if strings.Contains(last, word) {
			return word
		}
	}
	if strings.Contains(last, "operation not permitted") || strings.Contains(last, "permission denied") {
		return "a right"
	}
	return ""
}

// refused says what the engine did not grant to a container.
func (p *Provider) refused(ctx context.Context, name string, s *spec.Lab, doing string, err error) error {
	text := err.Error()
	for _, d := range devices {
		if strings.Contains(text, d) {
			return &lab.EnvironmentError{
				Check: d + " for member " + name, Found: oneLine(text), Needed: "that device on the engine's machine, for the fault disk",
				Get: "load its kernel module there (modprobe fuse, modprobe loop), or use --disk plain",
			}
		}
	}
	for _, word := range []string{"capabilit", "CAP_", "seccomp", "apparmor", "SecurityOpt", "security-opt", "device cgroup", "operation not permitted", "authorization denied"} {
		if strings.Contains(text, word) && s.Disk.Kind != "plain" {
			return &lab.EnvironmentError{
				Check: "container of member " + name, Found: "refused by the engine: " + oneLine(text),
				Needed: needed() + ", without seccomp and AppArmor, for the fault disk",
				Get:    "use --disk plain, which needs none of them",
			}
		}
	}
	return p.explain(ctx, doing+" the container of "+name, err)
}

// tail is the end of a container's log, indented, for an error.
func (p *Provider) tail(ctx context.Context, name, labName string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), infoTimeout)
	defer cancel()
	r, err := p.api.ContainerLogs(ctx, containerName(labName, name), container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "8"})
	if err != nil {
		return "  (" + oneLine(err.Error()) + ")"
	}
	defer r.Close()
	const most = 4 << 10
	var out bytes.Buffer
	_, _ = stdcopy.StdCopy(&out, &out, io.LimitReader(r, most))
	return tail.Lines(out.String(), 8)
}

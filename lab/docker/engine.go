package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"runtime"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// oldestAPI is that of engine 20.10.
const oldestAPI = "1.41"

// Platform is the architecture that images must be of, as Go names it. It says
// also whether there is an engine that can be used at all.
func (p *Provider) Platform(ctx context.Context) (arch string, err error) {
	v, err := p.api.ServerVersion(ctx)
	if err != nil {
		return "", p.explain(ctx, "ask the Docker engine for its version", err)
	}
	if v.Os != "linux" {
		return "", &lab.EnvironmentError{
			Check: "Docker engine", Found: "containers of " + v.Os, Needed: "Linux containers", Get: "switch the engine to Linux containers",
		}
	}
	if versions.LessThan(v.APIVersion, oldestAPI) {
		return "", tooOld(v.APIVersion)
	}
	return v.Arch, nil
}

func tooOld(api string) error {
	return &lab.EnvironmentError{
		Check: "Docker engine", Found: "API " + api, Needed: "API " + oldestAPI + " or later", Get: "update the engine to 20.10 or later",
	}
}

// Check says what the engine lacks for the lab, as an *lab.EnvironmentError.
func (p *Provider) Check(ctx context.Context, s *spec.Lab) error {
	if _, err := p.Platform(ctx); err != nil {
		return err
	}
	if far := remote(p.host); far != "" {
		return &lab.EnvironmentError{
			Check: "Docker engine", Found: "an engine on " + far, Needed: "an engine of this machine: agents are reached through ports on its loopback only",
			Get: "run etcdlab there, or choose a local engine with DOCKER_HOST or docker context use",
		}
	}
	_, err := p.inspectMachine(ctx, s)
	return err
}

// inspectMachine asks what of the engine matters to containers.
func (p *Provider) inspectMachine(ctx context.Context, s *spec.Lab) (machine, error) {
	info, err := p.api.Info(ctx)
	if err != nil {
		return machine{}, p.explain(ctx, "ask the Docker engine for its options", err)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(info.SecurityOptions, func(o string) bool { return strings.Contains(o+",", "name="+name+",") })
	}
	switch s.Disk.Kind {
	case "dm":
		return machine{}, &lab.EnvironmentError{
			Check: "disk kind dm", Found: "provider docker", Needed: "a provider with device mapper disks",
			Get: "use disk: {kind: fault}, which can do more here, or provider vm",
		}
	case "fault":
		for _, mode := range []string{"rootless", "userns"} {
			if has(mode) {
				return machine{}, &lab.EnvironmentError{
					Check: "Docker engine", Found: "one that runs containers in a user namespace (" + mode + ")",
					Needed: "containers that may mount a loop device, for the fault disk",
					Get:    "use --disk plain, which needs no capability, or an engine without " + mode,
				}
			}
		}
	}
	if m := int64(s.Machine.Memory); m != 0 && info.MemTotal != 0 && m > info.MemTotal {
		return machine{}, &lab.EnvironmentError{
			Check: "memory of the Docker engine's machine", Found: spec.Size(info.MemTotal).String(), Needed: s.Machine.Memory.String() + " for each member",
			Get: "lower machine.memory, or give the engine's machine more",
		}
	}
	if s.Machine.CPUs > info.NCPU {
		return machine{}, &lab.EnvironmentError{
			Check: "CPUs of the Docker engine's machine", Found: fmt.Sprint(info.NCPU), Needed: fmt.Sprint(s.Machine.CPUs),
			Get: "lower machine.cpus, or give the engine's machine more",
		}
	}
	return machine{selinux: has("selinux"), v1: info.CgroupVersion == "1"}, nil
}

// remote is the host of an engine that is not of this machine, "" if it is.
func remote(host string) string {
	u, err := url.Parse(host)
	if err != nil || u.Scheme == "unix" || u.Scheme == "npipe" {
		return ""
	}
	switch u.Hostname() {
	case "", "localhost", "127.0.0.1", "::1":
		return ""
	}
	return u.Hostname()
}

// explain says what an error of the engine's means for the user.
func (p *Provider) explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	text := err.Error()
	switch {
	case errors.Is(err, fs.ErrPermission), strings.Contains(text, "permission denied while trying to connect"):
		return &lab.EnvironmentError{
			Check: "Docker engine at " + p.host, Found: "no permission", Needed: "access to its socket",
			Get: "join the group docker (sudo usermod -aG docker $USER, then log in again), or use sudo",
		}
	case client.IsErrConnectionFailed(err):
		get := "start it, or name another with DOCKER_HOST or `docker context use`"
		if runtime.GOOS == "linux" {
			get += "; without one, use provider process as root"
		}
		return &lab.EnvironmentError{Check: "Docker engine", Found: "none that answers at " + p.host, Needed: "a running engine", Get: get}
	case strings.Contains(text, "is too old") || strings.Contains(text, "is too new"):
		return &lab.EnvironmentError{
			Check: "Docker engine", Found: oneLine(text), Needed: "an engine whose API reaches " + oldestAPI, Get: "update the engine, or unset DOCKER_API_VERSION",
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// isGone says that what was asked for is not there any more.
func isGone(err error) bool { return errdefs.IsNotFound(err) }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

package docker

import (
	"context"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/strslice"

	"github.com/etcdlab/etcdlab/lab/agent"
)

// end stops a member's container: its agent, by a signal, as long as it obeys
// one. Nothing is to be done about what fails here that its remover or starter
// will not see.
func (p *Provider) end(ctx context.Context, m *member, image string) {
	on, err := p.inspectMachine(ctx, m.spec)
	if err != nil {
		return
	}
	seconds := stopSeconds
	if on.v1 && m.addr.inside && !m.answers(ctx) {
		// An agent that is dead cannot thaw its etcd, and one that hangs will not.
		// Or it does not obey us: then it ends by itself.
		p.thaw(ctx, m, image)
		seconds = 5
	}
	_ = p.api.ContainerStop(ctx, m.id, container.StopOptions{Timeout: &seconds})
}

// answers says whether the agent does.
func (m *member) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	_, err := m.Status(ctx)
	return err == nil
}

// thaw runs the helper of that name beside a container on cgroup v1: a frozen
// etcd takes no signal, and its container would never end.
func (p *Provider) thaw(ctx context.Context, m *member, image string) {
	ctx, cancel := context.WithTimeout(ctx, 2*shutdownTimeout)
	defer cancel()
	l, err := labels(m.spec, "", m.addr.subnet.String(), p.Version, m.binaries)
	if err != nil {
		return
	}
	c, err := p.api.ContainerCreate(ctx, &container.Config{
		Image: image, Labels: l, User: "0:0", Entrypoint: strslice.StrSlice{agentBinary, "agent", agent.HelperThaw, m.id}, Cmd: strslice.StrSlice{},
	}, &container.HostConfig{
		NetworkMode: "none", ReadonlyRootfs: true, Tmpfs: map[string]string{"/tmp": ""},
		CapDrop: strslice.StrSlice{"ALL"}, CapAdd: strslice.StrSlice{"SYS_ADMIN"}, CgroupnsMode: container.CgroupnsModeHost,
		SecurityOpt: []string{"no-new-privileges:true", "seccomp=unconfined", "apparmor=unconfined"},
	}, nil, nil, "")
	if err != nil {
		p.say("thaw etcd of %s: %v", m.name, err)
		return
	}
	defer func() {
		do, cancel := finish(ctx)
		defer cancel()
		_ = p.api.ContainerRemove(do, c.ID, container.RemoveOptions{Force: true})
	}()
	done, failed := p.api.ContainerWait(ctx, c.ID, container.WaitConditionNextExit)
	if err := p.api.ContainerStart(ctx, c.ID, container.StartOptions{}); err != nil {
		p.say("thaw etcd of %s: %v", m.name, err)
		return
	}
	select {
	case <-done:
	case <-failed:
	case <-ctx.Done():
	}
}

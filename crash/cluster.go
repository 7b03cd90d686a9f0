package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/lab"
)

// cluster is the run's own view of etcd, beside the traffic: one client a
// member, for asking who leads, who serves and what the end state is.
type cluster struct {
	lab     *lab.Lab
	clients map[string]*clientv3.Client
	ids     map[string]uint64 // member name -> etcd's member ID
}

func connect(ctx context.Context, l *lab.Lab) (*cluster, error) {
	c := &cluster{lab: l, clients: map[string]*clientv3.Client{}, ids: map[string]uint64{}}
	tlsConfig, err := l.ClientTLS()
	if err != nil {
		return nil, err
	}
	for _, m := range l.Members {
		info, err := m.Info(ctx)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		if c.clients[m.Name()], err = traffic.Dial(info.ClientURL, tlsConfig, l.Slow); err != nil {
			return nil, errors.Join(fmt.Errorf("connect to %s: %w", m.Name(), err), c.close())
		}
	}
	return c, nil
}

func (c *cluster) close() error {
	var errs []error
	for _, client := range c.clients {
		errs = append(errs, client.Close())
	}
	return errors.Join(errs...)
}

// Client is the run's own client of one member.
func (c *cluster) Client(member string) *clientv3.Client { return c.clients[member] }

// status asks one member about itself.
func (c *cluster) status(ctx context.Context, member string) (*clientv3.StatusResponse, error) {
	client := c.clients[member]
	return client.Status(ctx, client.Endpoints()[0])
}

// Learn asks every member for its ID.
func (c *cluster) Learn(ctx context.Context) error {
	for name := range c.clients {
		s, err := c.status(ctx, name)
		if err != nil {
			return fmt.Errorf("ask %s for its member ID: %w", name, err)
		}
		c.ids[name] = s.Header.MemberId
	}
	return nil
}

// slow is d on a machine of this lab's speed.
func (c *cluster) slow(d time.Duration) time.Duration {
	return time.Duration(float64(d) * max(1, c.lab.Slow))
}

// Leader names the member that leads; asked of each until one knows.
func (c *cluster) Leader(ctx context.Context) (string, error) {
	var last error
	for {
		for name := range c.clients {
			short, cancel := context.WithTimeout(ctx, c.slow(time.Second))
			s, err := c.status(short, name)
			cancel()
			if err != nil {
				last = err
				continue
			}
			// Who leads says so of itself: IDs change when members are replaced.
			if s.Leader != 0 && s.Leader == s.Header.MemberId {
				return name, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("find the leader: %w", errors.Join(ctx.Err(), last))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// probe asks one member for a linearizable read.
func (c *cluster) probe(ctx context.Context, member string) (revision int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.slow(500*time.Millisecond))
	defer cancel()
	r, err := c.clients[member].Get(ctx, "\x00", clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return r.Header.Revision, nil
}

// hopeless is how long members may still try to serve once too many others
// have ended for a quorum: they may be about to end too, which is evidence.
const hopeless = 2 * time.Second

// agentWithin is how long an agent may not answer before it is given up.
const agentWithin = 10 * time.Second

// errEnded says that a member's etcd has ended: it will not serve.
var errEnded = errors.New("etcd does not run")

// errLost says that there is nobody to start it again.
var errLost = errors.New("its agent does not answer")

// outside says which member was broken by something that is neither etcd nor
// this run, nil if none was. What such a member then does is no evidence.
func (c *cluster) outside(ctx context.Context) error {
	for _, m := range c.lab.Members {
		info, err := m.Info(ctx)
		if err == nil && info.State == lab.StateLost {
			info, err = m.Info(ctx) // a busy machine may be slow once
		}
		switch {
		case err != nil:
			return err
		case info.State == lab.StateLost:
			return fmt.Errorf("the agent of %s does not answer; was it killed? `etcdlab up %s` starts it again", m.Name(), c.lab.Name)
		case info.Broken != "":
			return fmt.Errorf("this machine fails the disk of %s: %s; is there space left? `etcdlab up %s` then brings it back", m.Name(), info.Broken, c.lab.Name)
		case info.Outside:
			return fmt.Errorf("somebody else ended etcd of %s (%s): a user, or the kernel for want of memory; `etcdlab up %s` starts it again", m.Name(), info.Exit, c.lab.Name)
		}
	}
	return nil
}

// ready says what keeps the lab from a run. A lab that an earlier run left
// frozen or without power is not waited for.
func (c *cluster) ready(ctx context.Context, within time.Duration) error {
	for _, m := range c.lab.Members {
		info, err := m.Info(ctx)
		if err != nil {
			return err
		}
		if info.Broken != "" {
			return c.outside(ctx)
		}
		if info.State != lab.StateRunning {
			how := string(info.State)
			if info.Exit != "" {
				how += " (" + info.Exit + ")"
			}
			return fmt.Errorf("%s of lab %s is %s; `etcdlab up %s` brings it back", m.Name(), c.lab.Name, how, c.lab.Name)
		}
	}
	silent := c.serving(ctx, within, func(string) {})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, name := range slices.Sorted(maps.Keys(silent)) {
		return fmt.Errorf("%s of lab %s does not serve: %w; see `etcdlab logs %s %s`, `etcdlab up %s` brings it back", name, c.lab.Name, silent[name], c.lab.Name, name, c.lab.Name)
	}
	return nil
}

// serving waits for every member to answer a linearizable read; it gives those
// that did not by the deadline, with why.
func (c *cluster) serving(ctx context.Context, max time.Duration, served func(member string)) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, max)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	silent := map[string]error{}
	ended := 0
	for _, m := range c.lab.Members {
		wg.Go(func() {
			err := c.untilServes(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				served(m.Name())
				return
			}
			silent[m.Name()] = err
			if errors.Is(err, errEnded) || errors.Is(err, errLost) {
				ended++
			}
			if n := len(c.lab.Members); n-ended < n/2+1 {
				time.AfterFunc(c.slow(hopeless), cancel)
			}
		})
	}
	wg.Wait()
	return silent
}

// serve waits for some of the members to serve, whatever the others do, and says
// whether all did.
func (c *cluster) serve(ctx context.Context, members []lab.Member, max time.Duration, served func(member string)) bool {
	ctx, cancel := context.WithTimeout(ctx, max)
	defer cancel()
	return each.Do(len(members), func(i int) error {
		err := c.untilServes(ctx, members[i])
		if err == nil {
			served(members[i].Name())
		}
		return err
	}) == nil
}

// untilServes ends early when etcd ends, or its agent.
func (c *cluster) untilServes(ctx context.Context, m lab.Member) error {
	var lost time.Time
	for {
		_, err := c.probe(ctx, m.Name())
		if err == nil || errors.Is(err, rpctypes.ErrUserEmpty) {
			// With auth on, etcd asks who reads only once it could answer.
			return nil
		}
		info, infoErr := m.Info(ctx)
		if infoErr == nil && (info.State == lab.StateStopped || info.State == lab.StateOff) {
			return fmt.Errorf("%w: %s", errEnded, orElse(info.Exit, string(info.State)))
		}
		switch {
		case infoErr != nil || info.State != lab.StateLost:
			lost = time.Time{}
		case lost.IsZero():
			lost = time.Now()
		case time.Since(lost) > c.slow(agentWithin):
			return errLost
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no linearizable read was answered in time: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

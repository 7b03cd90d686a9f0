package traffic

import (
	"context"
	"fmt"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/internal/seed"
)

// Numbers of clients: the loops are 1, 2, 3 and so on; the others are apart from
// them, and each of them is the same in every run.
var numbers = map[string]int32{
	"client":   1,
	"watcher":  100_001,
	"recorder": 200_001,
	"compact":  300_001,
	"defrag":   300_002,
	"snapshot": 300_003,
	"admin":    300_004,
	"janitor":  300_005,
}

// client makes the i-th client of a part, at a member.
func (l *Load) client(part string, i, at int, user User) *client {
	at %= len(l.opts.Endpoints)
	c := &client{
		load:   l,
		id:     numbers[part] + int32(i),
		member: l.opts.Endpoints[at].Member,
		user:   user.Name,
		rng:    seed.Rand(l.opts.Seed, fmt.Sprintf("%s/%d", part, i+1)),
		seen:   map[string]int64{},
	}
	if at < len(l.clients) {
		c.etcd = l.clients[at]
	}
	return c
}

// crew connects and gives the loops of the load, not yet started.
func (l *Load) crew(ctx context.Context) (run []func(context.Context), err error) {
	p := &l.opts.Profile
	root := User{}
	if err := l.connect(User{}); err != nil {
		return nil, err
	}
	if p.Auth {
		a := admin{l.client("admin", 0, 0, User{})}
		// The undo comes first: an enabling whose answer was lost may be in effect.
		undo := admin{l.client("janitor", 0, 0, Root)}
		undo.always = true
		l.admin = &undo
		if err := a.prepare(ctx); err != nil {
			return nil, err
		}
		root = Root
		if err := l.connect(root); err != nil {
			return nil, err
		}
		run = append(run, admin{l.client("admin", 0, 0, root)}.loop)
	}
	if l.opts.Watches != nil {
		for i, ep := range l.opts.Endpoints {
			l.recorders = append(l.recorders, &recorder{load: l, client: numbers["recorder"] + int32(i), member: ep.Member, etcd: l.clients[i]})
			l.recorders[i].seen.Store(l.opts.Base)
		}
	}
	for _, h := range []struct {
		on   bool
		part string
		loop func(*client, context.Context)
	}{
		{p.CompactEvery > 0, "compact", (*client).compactor},
		{p.DefragEvery > 0, "defrag", (*client).defragmenter},
		{p.SnapshotEvery > 0, "snapshot", (*client).snapshotter},
	} {
		if h.on {
			c := l.client(h.part, 0, 0, root)
			run = append(run, func(ctx context.Context) { h.loop(c, ctx) })
		}
	}
	loops, err := l.loopClients()
	for _, c := range loops {
		run = append(run, c.loop)
	}
	return run, err
}

// loopClients are those that draw from the mix: first those that are bound to a
// member, then those that ask any.
func (l *Load) loopClients() ([]*client, error) {
	p := &l.opts.Profile
	bound := l.opts.Clients + p.PerMember*len(l.opts.Endpoints)
	as := map[string]*clientv3.Client{}
	var all []*client
	for i := range bound + p.Clients {
		user := User{}
		if p.Auth {
			user = l.user(i / len(l.opts.Endpoints) % users)
		}
		c := l.client("client", i, i, user)
		urls := []string{l.opts.Endpoints[i%len(l.opts.Endpoints)].URL}
		if i >= bound {
			c.member, urls = "", nil
			for _, ep := range l.opts.Endpoints {
				urls = append(urls, ep.URL)
			}
		}
		if c.member == "" || p.Auth {
			who := c.member + "/" + user.Name
			if as[who] == nil {
				etcd, err := l.dial(urls, user)
				if err != nil {
					return nil, err
				}
				as[who] = etcd
			}
			c.etcd = as[who]
		}
		all = append(all, c)
	}
	return all, nil
}

// connect makes the load's client of each member, in order of the endpoints.
func (l *Load) connect(user User) error {
	l.clients = nil
	for _, ep := range l.opts.Endpoints {
		c, err := l.dial([]string{ep.URL}, user)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", ep.Member, err)
		}
		l.clients = append(l.clients, c)
		l.perState.LoadOrStore(ep.Member, new(atomic.Int64))
	}
	return nil
}

func (l *Load) dial(urls []string, user User) (*clientv3.Client, error) {
	c, err := dial(urls, l.opts.TLS, l.opts.Slow, user)
	if err != nil {
		return nil, fmt.Errorf("connect to %v: %w", urls, err)
	}
	l.opened = append(l.opened, c)
	return c, nil
}

package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

var resourceKinds = []Kind{
	{
		Name: "cpu-throttle", Group: GroupResource, Beside: true,
		Doc:    "etcd gets a part of one processor, and is seen kept from running",
		Params: []Param{{Name: "percent", Doc: "of one processor", Type: percent(), Default: "5%"}},
		New: func(a Args) (Fault, error) {
			f := &Limit{To: lab.Limits{CPU: a.Share("percent")}}
			if f.To.CPU == 0 {
				return nil, errors.New("percent must be at least 1: freeze is for none")
			}
			return f, f.To.Check()
		},
	},
	{
		Name: "memory-limit", Group: GroupResource,
		Doc:    "etcd gets so much memory and is sent requests too large for it, until the kernel kills it for want of memory",
		Params: []Param{{Name: "size", Doc: "what it may use, or what it uses, where that is more", Type: size(), Default: "32MiB"}},
		New:    func(a Args) (Fault, error) { return &Limit{To: lab.Limits{Memory: a.Bytes("size")}}, nil },
	},
	{
		Name: "fd-limit", Group: GroupResource,
		Doc:    "etcd can open no more files or connections than so many, and is seen to take no connection",
		Params: []Param{{Name: "n", Doc: "file descriptors; what is open stays", Type: count(1), Default: "8"}},
		New:    func(a Args) (Fault, error) { return &Limit{To: lab.Limits{Files: a.Count("n")}}, nil },
	},
}

// Limit bounds what etcd may use of one thing.
type Limit struct{ To lab.Limits }

func (*Limit) Needs(m lab.Member) error {
	return all(m, needs[lab.Limiter], needs[lab.Runner])
}

// limitedFor bounds the wait for a limit to be felt.
const limitedFor = 30 * time.Second

func (f *Limit) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	var mu sync.Mutex
	var said []string
	effect := Effect{Observed: true}
	err := each(targets, func(m lab.Member) error {
		l, err := lab.Can[lab.Limiter](m)
		if err != nil {
			return err
		}
		s.event(history.EventFault, m.Name(), "limited to "+f.what())
		if err := l.SetLimits(ctx, f.To); err != nil {
			return err
		}
		seen, how, err := f.felt(ctx, s, m, l)
		mu.Lock()
		defer mu.Unlock()
		effect.Observed = effect.Observed && seen
		said = append(said, m.Name()+": "+how)
		return err
	})
	effect.Message = strings.Join(said, "; ")
	return effect, err
}

func (f *Limit) what() string {
	switch {
	case f.To.CPU > 0:
		return fmt.Sprintf("%g processors", f.To.CPU)
	case f.To.Memory > 0:
		return fmt.Sprintf("%d bytes of memory", f.To.Memory)
	}
	return fmt.Sprintf("%d file descriptors", f.To.Files)
}

// felt waits until the limit has an effect.
func (f *Limit) felt(ctx context.Context, s *Scene, m lab.Member, l lab.Limiter) (seen bool, how string, err error) {
	var now lab.Limited
	look := func() (err error) { now, err = l.Limits(ctx); return err }
	switch {
	case f.To.CPU > 0:
		seen, err = until(ctx, s.slow(limitedFor), func(context.Context) (bool, error) {
			return now.Throttled > 1, look()
		})
		return seen, fmt.Sprintf("kept from running %d times by %s", now.Throttled, now.By), err
	case f.To.Memory > 0:
		pressing, enough := context.WithCancel(ctx)
		var pressed sync.WaitGroup
		pressed.Go(func() { s.press(pressing, m) })
		exit, ended, err := exited(ctx, m, s.slow(limitedFor))
		enough()
		pressed.Wait()
		if err != nil || !ended {
			return false, fmt.Sprintf("with %d bytes it was not killed within %v", f.To.Memory, s.slow(limitedFor)), err
		}
		s.event(history.EventExited, m.Name(), exit)
		err = look()
		return now.OOMKills > 0, exit, err
	}
	seen, err = until(ctx, s.slow(limitedFor), func(context.Context) (bool, error) {
		return now.Open >= now.Files && !accepts(ctx, m, s.slow(200*time.Millisecond)), look()
	})
	return seen, fmt.Sprintf("%d descriptors open, no connection taken", now.Open), err
}

// press sends requests that etcd refuses for their size, after it has had them in
// memory; they change nothing.
func (s *Scene) press(ctx context.Context, m lab.Member) {
	large := strings.Repeat("x", 1900<<10) // gRPC takes 2 MiB, etcd 1.5
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for ctx.Err() == nil {
				short, cancel := context.WithTimeout(ctx, s.slow(time.Second))
				_, err := s.Cluster.Client(m.Name()).Put(short, "/etcdlab-too-large", large)
				cancel()
				if err != nil && !strings.Contains(err.Error(), "too large") {
					select {
					case <-ctx.Done():
					case <-time.After(pollEvery):
					}
				}
			}
		})
	}
	all.Wait()
}

// accepts says whether etcd takes a connection and says anything at all on it.
func accepts(ctx context.Context, m lab.Member, within time.Duration) bool {
	info, err := m.Info(ctx)
	if err != nil {
		return false
	}
	u, err := url.Parse(info.ClientURL)
	if err != nil {
		return false
	}
	c, err := net.DialTimeout("tcp", u.Host, within)
	if err != nil {
		return false
	}
	defer c.Close()
	// To a server with TLS this is a fault that it answers, too.
	if c.SetDeadline(time.Now().Add(within)) != nil {
		return false
	}
	if _, err := fmt.Fprint(c, "GET /version HTTP/1.0\r\n\r\n"); err != nil {
		return false
	}
	n, _ := c.Read(make([]byte, 1))
	return n > 0
}

// Heal takes all limits off and starts an etcd that did not survive them.
func (f *Limit) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error {
		l, err := lab.Can[lab.Limiter](m)
		if err != nil {
			return err
		}
		if err := l.SetLimits(ctx, lab.Limits{}); err != nil {
			return err
		}
		now, err := l.Limits(ctx)
		if err == nil && now.Limits != (lab.Limits{}) {
			err = fmt.Errorf("take the limits off %s: it still has %+v", m.Name(), now.Limits)
		}
		if err != nil {
			return err
		}
		s.event(history.EventHealed, m.Name(), "no limits")
		info, err := m.Info(ctx)
		if err != nil {
			return err
		}
		if info.State != lab.StateRunning && info.Exit != "" && f.To.Memory == 0 {
			s.event(history.EventExited, m.Name(), info.Exit)
		}
		return s.start(ctx, m)
	})
}

// Late starts the targets that ended of the limit after all, once it was off: a
// process that panics takes its time. It says whether there were any.
func (f *Limit) Late(ctx context.Context, s *Scene, targets []lab.Member) (bool, error) {
	return s.startLate(ctx, targets, func(exit string) bool { return f.To.Memory == 0 && !strings.HasPrefix(exit, "signal:") })
}

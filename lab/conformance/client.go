package conformance

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/etcdlab/etcdlab/lab"
)

// client is of one member; the test's end closes it.
func (s *subject) client(m lab.Member) *clientv3.Client {
	s.Helper()
	config, err := s.lab.ClientTLS()
	s.must(err)
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{s.info(m).ClientURL}, TLS: config, Logger: zap.NewNop(),
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: s.slow(time.Second),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.5, MaxDelay: 100 * time.Millisecond},
			MinConnectTimeout: s.slow(500 * time.Millisecond),
		})},
	})
	s.must(err)
	s.Cleanup(func() { _ = c.Close() })
	return c
}

// put writes through a member, once.
func (s *subject) put(c *clientv3.Client, key, value string) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.slow(time.Second))
	defer cancel()
	_, err := c.Put(ctx, key, value)
	return err
}

// mustPut writes through a member that may be about to serve.
func (s *subject) mustPut(c *clientv3.Client, key, value string) {
	s.Helper()
	s.until("a put of "+key, func() bool { return s.put(c, key, value) == nil })
}

// get reads what all agreed on, "" for a key that is not there.
func (s *subject) get(c *clientv3.Client, key string) (string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.slow(time.Second))
	defer cancel()
	r, err := c.Get(ctx, key)
	if err != nil || len(r.Kvs) == 0 {
		return "", err
	}
	return string(r.Kvs[0].Value), nil
}

// wantAll fails unless every member serves the value.
func (s *subject) wantAll(key, value string) {
	s.Helper()
	for _, m := range s.lab.Members {
		c := s.client(m)
		var got string
		s.until(m.Name()+" to serve", func() bool {
			var err error
			got, err = s.get(c, key)
			return err == nil
		})
		if got != value {
			s.Errorf("%s has %s=%q, want %q", m.Name(), key, got, value)
		}
	}
}

// writes puts ever new values of one key until stopped; stop gives the last
// value that was acknowledged.
func (s *subject) writes(c *clientv3.Client, key string) (stop func() (last int)) {
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan int)
	go func() {
		last := 0
		for n := 1; ctx.Err() == nil; n++ {
			ask, end := context.WithTimeout(ctx, s.slow(time.Second))
			_, err := c.Put(ask, key, number(n))
			end()
			if err == nil {
				last = n
			} else if !errors.Is(err, context.Canceled) {
				time.Sleep(5 * time.Millisecond)
			}
		}
		done <- last
	}()
	return func() int {
		cancel()
		return <-done
	}
}

// putTime is the shortest of a few puts that were acknowledged.
func (s *subject) putTime(c *clientv3.Client) time.Duration {
	s.Helper()
	best := time.Hour
	for range 5 {
		s.until("a put", func() bool {
			begun := time.Now()
			ctx, cancel := context.WithTimeout(s.ctx, s.slow(5*time.Second))
			defer cancel()
			_, err := c.Put(ctx, "net-time", "x")
			if err == nil {
				best = min(best, time.Since(begun))
			}
			return err == nil
		})
	}
	return best
}

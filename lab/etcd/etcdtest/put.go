// Package etcdtest owns what the tests of several providers ask of an etcd.
package etcdtest

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Put puts until it is acknowledged: on a busy machine, or in a guest that is
// emulated there, the leader may change in between or etcd be too slow for its own
// time-outs, and then a put fails. It may be applied more than once.
func Put(t testing.TB, c *clientv3.Client, key, value string) {
	t.Helper()
	var err error
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		_, err = c.Put(ctx, key, value)
		cancel()
		if err == nil {
			return
		}
	}
	t.Fatalf("put %s: %v", key, err)
}

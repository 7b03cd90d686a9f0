package etcd

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// ReadyDeadline is how long members may take to serve: elections with the lab's
// timers, some of which fail, and a fixed part for slow machines.
func ReadyDeadline(args map[string]string) time.Duration {
	election := 1000 // etcd's default, in milliseconds
	if ms, err := strconv.Atoi(args["election-timeout"]); err == nil && ms > 0 {
		election = ms
	}
	return time.Minute + 20*time.Duration(election)*time.Millisecond
}

// Serves waits until the member at the endpoint answers a linearizable read.
// ended is asked in between; its error, that etcd does not run, ends the wait.
func Serves(ctx context.Context, endpoint string, config *tls.Config, ended func(context.Context) error) error {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{endpoint}, TLS: config, Logger: zap.NewNop(), Context: ctx,
		// gRPC's own backoff of a second after a refused connection is longer
		// than all of up.
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1.3, MaxDelay: 50 * time.Millisecond},
			MinConnectTimeout: 500 * time.Millisecond,
		})},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		ask, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		_, err := client.Get(ask, "\x00", clientv3.WithCountOnly())
		cancel()
		if err == nil {
			return nil
		}
		if why := ended(ctx); why != nil {
			return why
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no linearizable read was answered in time: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

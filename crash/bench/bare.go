package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etcdlab/etcdlab/crash/traffic"
)

// bareName marks what BareDocker makes.
const bareName = "etcdlab-bench-bare"

// BareDocker measures how long `docker run` of three etcds takes until each
// answers a linearizable read: no agent, no fault disk, no link to take down.
// Both are of the same image and have the same timers.
func (b *Bench) BareDocker(ctx context.Context, w io.Writer, image string) error {
	var took []time.Duration
	for range b.Turns {
		t, err := b.bareTurn(ctx, image)
		if err != nil {
			return err
		}
		took = append(took, t)
	}
	fmt.Fprintf(w, "docker run of 3 bare etcds, ready to serve: median %v (%v to %v, %d times)\n\n",
		round(median(took)), round(slices.Min(took)), round(slices.Max(took)), len(took))
	return nil
}

func (b *Bench) bareTurn(ctx context.Context, image string) (took time.Duration, err error) {
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		_, rm := docker(end, "rm", "-f", "-v", bareName+"1", bareName+"2", bareName+"3")
		_, net := docker(end, "network", "rm", bareName)
		if err == nil {
			err = errors.Join(rm, net)
		}
	}()
	start := time.Now()
	if _, err := docker(ctx, "network", "create", "--subnet", "172.31.254.0/24", bareName); err != nil {
		return 0, err
	}
	var cluster []string
	for n := 1; n <= 3; n++ {
		cluster = append(cluster, fmt.Sprintf("e%d=http://172.31.254.1%d:2380", n, n))
	}
	errs := make([]error, 3)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = bareMember(ctx, i+1, image, strings.Join(cluster, ",")) })
	}
	wg.Wait()
	return time.Since(start), errors.Join(errs...)
}

func bareMember(ctx context.Context, n int, image, cluster string) error {
	ip := fmt.Sprintf("172.31.254.1%d", n)
	client, peer := "http://"+ip+":2379", "http://"+ip+":2380"
	if _, err := docker(ctx, "run", "-d", "--name", fmt.Sprint(bareName, n), "--network", bareName, "--ip", ip,
		"--entrypoint", "/usr/bin/etcd", image, "--name", fmt.Sprint("e", n), "--data-dir", "/tmp/etcd",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster,
		"--heartbeat-interval", "30", "--election-timeout", "300"); err != nil {
		return err
	}
	c, err := traffic.Dial(client, nil, 1)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		ask, end := context.WithTimeout(ctx, time.Second)
		_, err := c.Get(ask, "\x00")
		end()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the bare etcd %d: %w", n, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func docker(ctx context.Context, args ...string) (string, error) {
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(complaint.String()))
	}
	return string(out), nil
}

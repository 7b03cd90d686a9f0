package etcd

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/lab"
)

// memberEvery is how often a membership change is asked for that etcd refuses
// for now: it wants every member to have been connected for 5 s.
const memberEvery = 100 * time.Millisecond

// publishWithin is how long a member that was added may take to tell the others
// its name, which is when it has caught up and serves.
const publishWithin = 15 * time.Second

// Joiner brings members into a cluster that serves.
type Joiner struct {
	// Via is a client of a member that serves, other than the one that joins.
	Via *clientv3.Client
	// Learner has it join without a vote.
	Learner bool
	// Slow is how many times longer things take than usual.
	Slow float64
}

// Find gives the cluster's entry of the member with that peer URL, nil without.
func (j *Joiner) Find(ctx context.Context, peerURL string) (*pb.Member, []*pb.Member, error) {
	list, err := j.Via.MemberList(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list the members: %w", err)
	}
	for _, m := range list.Members {
		if slices.Contains(m.PeerURLs, peerURL) {
			return m, list.Members, nil
		}
	}
	return nil, list.Members, nil
}

// Remove takes the member out of the cluster if it is in it, and sees it gone.
func (j *Joiner) Remove(ctx context.Context, peerURL string) error {
	return j.insist(ctx, "remove the member", func(ctx context.Context) (bool, error) {
		m, _, err := j.Find(ctx, peerURL)
		if err != nil || m == nil {
			return m == nil, err
		}
		_, err = j.Via.MemberRemove(ctx, m.ID)
		return false, err // looked at again
	})
}

// Rejoin makes a member part of the cluster again, on a fresh disk unless it is
// part of it, whatever state it was left in, and starts its etcd.
func (j *Joiner) Rejoin(ctx context.Context, m lab.Member) error {
	info, err := m.Info(ctx)
	if err != nil {
		return err
	}
	runner, err := lab.Can[lab.Runner](m)
	if err != nil {
		return err
	}
	wiper, err := lab.Can[lab.Wiper](m)
	if err != nil {
		return err
	}
	configurer, err := lab.Can[lab.Configurer](m)
	if err != nil {
		return err
	}
	var entry *pb.Member
	err = j.insist(ctx, "look for the member", func(ctx context.Context) (_ bool, err error) {
		entry, _, err = j.Find(ctx, info.PeerURL)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	if entry != nil && !info.Wiped {
		return runner.Start(ctx)
	}
	if entry != nil && entry.Name != "" {
		// What it promised under that ID went with its disk.
		if err := j.Remove(ctx, info.PeerURL); err != nil {
			return err
		}
		entry = nil
	}
	if entry == nil {
		if err := runner.Kill(ctx); err != nil {
			return err
		}
		if err := wiper.Wipe(ctx); err != nil {
			return err
		}
	}
	cluster, err := j.add(ctx, m.Name(), info.PeerURL)
	if err != nil {
		return err
	}
	before, err := configurer.Settings(ctx)
	if err != nil {
		return err
	}
	joining := lab.Settings{}
	if before != nil {
		joining = *before
	}
	joining.Args = maps.Clone(joining.Args)
	if joining.Args == nil {
		joining.Args = map[string]string{}
	}
	joining.Args["initial-cluster"], joining.Args["initial-cluster-state"] = cluster, "existing"
	if err := configurer.Configure(ctx, &joining); err != nil {
		return err
	}
	if err := runner.Start(ctx); err != nil {
		return err
	}
	// Until it has data of its own it must not be started in any other way.
	if published, err := j.published(ctx, m, info.PeerURL); err != nil || !published {
		return err
	}
	return configurer.Configure(ctx, before)
}

// add adds the member unless it is there, and gives the initial cluster with it.
func (j *Joiner) add(ctx context.Context, name, peerURL string) (cluster string, err error) {
	err = j.insist(ctx, "add the member", func(ctx context.Context) (bool, error) {
		m, all, err := j.Find(ctx, peerURL)
		if err != nil {
			return false, err
		}
		if m != nil {
			cluster = initialCluster(all, name, peerURL)
			return true, nil
		}
		if j.Learner {
			_, err = j.Via.MemberAddAsLearner(ctx, []string{peerURL})
		} else {
			_, err = j.Via.MemberAdd(ctx, []string{peerURL})
		}
		return false, err
	})
	return cluster, err
}

func initialCluster(all []*pb.Member, name, peerURL string) string {
	var parts []string
	for _, m := range all {
		for _, url := range m.PeerURLs {
			if url == peerURL {
				parts = append(parts, name+"="+url)
			} else if m.Name != "" { // another that has not started yet
				parts = append(parts, m.Name+"="+url)
			}
		}
	}
	return strings.Join(parts, ",")
}

// published waits until the member is listed by its name; false is one that does
// not come up, which is not for us to judge.
func (j *Joiner) published(ctx context.Context, m lab.Member, peerURL string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, j.slow(publishWithin))
	defer cancel()
	for {
		entry, _, err := j.Find(ctx, peerURL)
		if err == nil && entry != nil && entry.Name != "" {
			return true, nil
		}
		info, err := m.Info(ctx)
		if err == nil && (info.State == lab.StateStopped || info.State == lab.StateOff) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return false, ctx.Err()
			}
			return false, nil
		case <-time.After(memberEvery):
		}
	}
}

// Promote gives a learner a vote, once it has caught up.
func (j *Joiner) Promote(ctx context.Context, peerURL string) error {
	return j.insist(ctx, "promote the member", func(ctx context.Context) (bool, error) {
		m, _, err := j.Find(ctx, peerURL)
		switch {
		case err != nil:
			return false, err
		case m == nil:
			return false, fmt.Errorf("%s is no member", peerURL)
		case !m.IsLearner:
			return true, nil
		}
		_, err = j.Via.MemberPromote(ctx, m.ID)
		return false, err
	})
}

// insist asks until it is done, or ctx ends.
func (j *Joiner) insist(ctx context.Context, what string, do func(context.Context) (done bool, err error)) error {
	for {
		ask, cancel := context.WithTimeout(ctx, j.slow(5*time.Second))
		done, err := do(ask)
		cancel()
		if done {
			return nil
		}
		if err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, errors.Join(ctx.Err(), err))
		case <-time.After(memberEvery):
		}
	}
}

func (j *Joiner) slow(d time.Duration) time.Duration {
	return time.Duration(float64(d) * max(1, j.Slow))
}

// MemberID is what etcd calls a member of a new cluster, which follows from its
// peer URL and the cluster's token (etcd's membership.NewMember, without a time).
func MemberID(peerURL, token string) uint64 {
	sum := sha1.Sum([]byte(peerURL + token))
	return binary.BigEndian.Uint64(sum[:8])
}

package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/internal/each"
	"github.com/etcdlab/etcdlab/lab"
)

// Awaited is a member that is to serve.
type Awaited struct {
	Name      string
	Version   string
	ClientURL string
	Info      func(context.Context) (lab.Info, error)
	Patient   bool          // its agent may be slow to answer, and is not lost for that
	Log       func() string // "its log ends:" with the end of it
}

// Await waits, at most for limit, until every member of the lab answers a
// linearizable read. The error names those that do not, with the end of their
// logs.
func Await(ctx context.Context, l *lab.Lab, limit time.Duration, members []Awaited) error {
	config, err := l.ClientTLS()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return each.Do(len(members), func(i int) error {
		m := members[i]
		err := Serves(ctx, m.ClientURL, config, m.ended)
		switch {
		case err == nil:
			return nil
		case errors.Is(ctx.Err(), context.Canceled):
			return ctx.Err()
		case strings.Contains(err.Error(), "flag provided but not defined"):
			// Its usage, which ends the log, is of no help.
			return lab.Misuse("etcd %s of member %s does not take an argument of the lab's: %w", m.Version, m.Name, err)
		}
		return fmt.Errorf("member %s does not serve: %w; %s", m.Name, err, m.Log())
	})
}

// ended says that etcd does not run.
func (m *Awaited) ended(ctx context.Context) error {
	info, err := m.Info(ctx)
	if err != nil || info.State == lab.StateRunning || m.Patient && info.State == lab.StateLost {
		return nil
	}
	return fmt.Errorf("etcd is %s: %s", info.State, info.Exit)
}

package crash

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdlab/etcdlab/lab"
)

// keysOfRuns is what the keys of all runs begin with.
const keysOfRuns = "/etcdlab/"

// tidyWithin bounds the tidying of a lab between two runs.
const tidyWithin = 30 * time.Second

// Tidy takes what earlier runs left on a lab that is to be run on again and
// again: their keys, the history of those, and what etcd logged. Nothing may run
// on it.
func Tidy(ctx context.Context, l *lab.Lab) error {
	c, err := connect(ctx, l)
	if err != nil {
		return err
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(ctx, c.slow(tidyWithin))
	defer cancel()
	for _, m := range l.Members {
		if err = c.tidy(ctx, c.clients[m.Name()]); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("remove the keys of earlier runs from lab %s: %w", l.Name, err)
	}
	for _, m := range l.Members {
		t, err := lab.Can[lab.LogTrimmer](m)
		if err != nil {
			continue // it grows, then
		}
		if err := t.TrimLog(ctx); err != nil {
			return fmt.Errorf("empty the log of %s: %w", m.Name(), err)
		}
	}
	return nil
}

func (c *cluster) tidy(ctx context.Context, client *clientv3.Client) error {
	r, err := client.Delete(ctx, keysOfRuns, clientv3.WithPrefix())
	if err != nil || r.Header.Revision <= 1 {
		return err
	}
	_, err = client.Compact(ctx, r.Header.Revision)
	return err
}

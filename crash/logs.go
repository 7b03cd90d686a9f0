package crash

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

// logs writes what a member's etcds have logged so far.
func logs(ctx context.Context, m lab.Member, w io.Writer) error {
	l, err := lab.Can[lab.Logger](m)
	if err != nil {
		return err
	}
	if err := l.Logs(ctx, w, false); err != nil {
		return fmt.Errorf("read the log of %s: %w", m.Name(), err)
	}
	return nil
}

// copyLog stores what the member logged since the run began; a lab's earlier
// runs are not this one's to answer for.
func (r *run) copyLog(ctx context.Context, m lab.Member) error {
	return writeFile(filepath.Join(r.dir.path, history.DirMembers, m.Name(), "etcd.log"), func(w io.Writer) error {
		return logs(ctx, m, &after{w, r.logStart[m.Name()]})
	})
}

// counter counts the bytes that are written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// after passes on what follows the first skip bytes.
type after struct {
	w    io.Writer
	skip int64
}

func (a *after) Write(p []byte) (int, error) {
	gone := int(min(a.skip, int64(len(p))))
	a.skip -= int64(gone)
	n, err := a.w.Write(p[gone:])
	return gone + n, err
}

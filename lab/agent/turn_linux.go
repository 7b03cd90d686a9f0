package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// peerGrace bounds how long a starting etcd keeps the lab's others waiting.
const peerGrace = 2 * time.Second

// awaitTurn lets the members of a lab start etcd one after the other, a tenth
// of a second apart. A starting etcd asks its peers something before it serves
// them: a new member who is there already (1 s for each peer), a restarted one,
// with the initial corruption check, for their hashes (5 s and two election
// timeouts each). At that time its own peer port is open but not served. So
// members that start at once wait for each other until those times are over,
// while one that is not there yet refuses at once.
func (a *Agent) awaitTurn(ctx context.Context) (after func(), err error) {
	return lab.LockFile(ctx, filepath.Join(lab.RunDir(a.cfg.Lab), "starting"))
}

// awaitPeerPort waits until etcd serves its peers, ends, or takes too long.
func (a *Agent) awaitPeerPort(ctx context.Context, p *process) {
	ctx, cancel := context.WithTimeout(ctx, peerGrace)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		// Who answers is of no interest, only that somebody does.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	for p.alive() && ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.cfg.PeerURL+"/version", nil)
		if err != nil {
			return
		}
		answer, err := client.Do(request)
		if err == nil {
			answer.Body.Close()
			return
		}
		// With client certificates the answer is a refusal, too.
		var refused syscall.Errno
		if !errors.As(err, &refused) && ctx.Err() == nil {
			return
		}
		select {
		case <-p.done:
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
}

package crash

import (
	"context"

	"github.com/etcdlab/etcdlab/lab"
)

// taken says which members a fault is under way on that lets no other beside it.
type taken map[string]chan struct{}

func newTaken(members []lab.Member) taken {
	t := taken{}
	for _, m := range members {
		t[m.Name()] = make(chan struct{}, 1)
	}
	return t
}

// take waits for the members, in the order of the lab, so that two that want
// the same ones cannot wait for each other.
func (t taken) take(ctx context.Context, members []lab.Member) (give func(), err error) {
	var have []chan struct{}
	give = func() {
		for _, c := range have {
			<-c
		}
	}
	for _, m := range members {
		select {
		case t[m.Name()] <- struct{}{}:
			have = append(have, t[m.Name()])
		case <-ctx.Done():
			give()
			return nil, ctx.Err()
		}
	}
	return give, nil
}

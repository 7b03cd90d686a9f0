package verify

import (
	"slices"

	"github.com/etcdlab/etcdlab/crash/history"
)

// callOp is an operation that is not of the KV service.
type callOp struct {
	id          uint64
	invoke, ret int64
	rev         int64 // the answer's header, if acknowledged
	term        uint64
	client      int32
	member      uint8
	user        uint8
	kind        history.Kind
	outcome     history.Outcome
	denied      bool
	err         string
	history.Call
}

func (c *callOp) ok() bool { return c.outcome == history.OK }

func (h *ops) addCall(in *history.Op, names map[uint64]string) {
	c := callOp{
		id: in.ID, invoke: in.Invoke, ret: in.Return, client: in.Client, kind: in.Kind, outcome: in.Outcome, denied: in.Denied,
		member: h.responder(in, names), user: index(&h.users, in.User), err: in.Error,
	}
	switch {
	case in.Call == nil:
		h.broken(in, "says nothing of what it asked")
		return
	case in.Return < in.Invoke:
		h.broken(in, "returned before it was invoked")
		return
	}
	c.Call = *in.Call
	c.List = slices.Clone(in.Call.List)
	if c.ok() {
		c.rev, c.term = in.Revision, h.eras.term(in.RaftTerm, in.Return)
		h.inTerm(c.member, in.RaftTerm, in.Return)
		h.sawTerm(in)
	}
	h.calls = append(h.calls, c)
}

package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
)

// asks says what an operation on a lease, a lock or an election is.
func (t *teller) asks(c *callOp) string {
	switch c.kind {
	case history.KindLeaseGrant:
		return fmt.Sprintf("grant of lease %x for %d s", c.Lease, c.TTL)
	case history.KindLeaseKeepAlive:
		return fmt.Sprintf("keep-alive of lease %x", c.Lease)
	case history.KindLeaseRevoke:
		return fmt.Sprintf("revocation of lease %x", c.Lease)
	case history.KindLeaseTTL:
		return fmt.Sprintf("question how long lease %x has to live", c.Lease)
	case history.KindLock:
		return fmt.Sprintf("lock of %s with lease %x", t.short(c.Name), c.Lease)
	case history.KindUnlock:
		return fmt.Sprintf("unlock of %s with lease %x", t.short(c.Name), c.Lease)
	case history.KindCampaign:
		return fmt.Sprintf("campaign for %s with lease %x", t.short(c.Name), c.Lease)
	case history.KindProclaim:
		return fmt.Sprintf("proclamation in %s with lease %x", t.short(c.Name), c.Lease)
	case history.KindResign:
		return fmt.Sprintf("resignation from %s with lease %x", t.short(c.Name), c.Lease)
	case history.KindLeader:
		return "question who leads " + t.short(c.Name)
	}
	return c.kind.String()
}

// short is a name with the run's prefix shortened, as key does.
func (t *teller) short(name string) string {
	if rest, ok := strings.CutPrefix(name, t.run.Prefix); ok {
		return "/etcdlab/../" + rest
	}
	return fmt.Sprintf("%q", name)
}

// call names an operation as describe does.
func (t *teller) call(c *callOp) string {
	who := fmt.Sprintf("the %s by client %d", t.asks(c), c.client)
	switch c.outcome {
	case history.OK:
		return fmt.Sprintf("%s, acknowledged by %s at %s,", who, t.asked(c), t.at(c.ret))
	case history.Failed:
		return fmt.Sprintf("%s, refused at %s,", who, t.at(c.ret))
	}
	return fmt.Sprintf("%s, invoked at %s with an unknown outcome,", who, t.at(c.invoke))
}

func (t *teller) asked(c *callOp) string {
	if name := t.h.members[c.member]; name != "" {
		return name
	}
	return "a member"
}

// aboutCall is the frame of evidence about an operation that is not of the KV
// service, with the operations that show it.
func (t *teller) aboutCall(message string, c *callOp, with ...*callOp) Evidence {
	e := Evidence{
		Message: message, Operation: c.id, Client: c.client, Member: t.h.members[c.member], Revision: c.rev, Time: c.ret,
	}
	if !c.ok() {
		e.Time = c.invoke
	}
	return t.callStory(e, append(with, c)...)
}

// callStory is story for these operations.
func (t *teller) callStory(e Evidence, calls ...*callOp) Evidence {
	if len(calls) == 0 {
		return e
	}
	slices.SortFunc(calls, func(a, b *callOp) int { return cmp.Or(cmp.Compare(a.invoke, b.invoke), cmp.Compare(a.id, b.id)) })
	calls = slices.Compact(calls)
	told := false
	for i, c := range calls {
		if i > 0 && !told {
			told = t.fault(&e, calls[0].invoke, c.invoke)
		}
		e.Operations = append(e.Operations, c.id)
		e.Story = append(e.Story, t.callLine(c))
	}
	if !told {
		t.fault(&e, calls[0].invoke, 1<<63-1)
	}
	return e
}

func (t *teller) callLine(c *callOp) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  operation %d: client %d asks %s for the %s; ", t.at(c.invoke), c.id, c.client, t.asked(c), t.asks(c))
	switch c.outcome {
	case history.OK:
		fmt.Fprintf(&b, "answered at %s", t.at(c.ret))
		if c.rev > 0 {
			fmt.Fprintf(&b, ": revision %d", c.rev)
		}
		switch c.kind {
		case history.KindLeaseKeepAlive, history.KindLeaseTTL:
			fmt.Fprintf(&b, ", %d s left", c.TTL)
		case history.KindLock, history.KindCampaign:
			fmt.Fprintf(&b, ", fencing token %d", c.Revision)
		case history.KindLeader:
			fmt.Fprintf(&b, ", %s", t.short(c.Key))
		}
	case history.Failed:
		fmt.Fprintf(&b, "refused at %s: %s", t.at(c.ret), c.err)
	default:
		fmt.Fprintf(&b, "no answer until %s, outcome unknown", t.at(c.ret))
	}
	return b.String()
}

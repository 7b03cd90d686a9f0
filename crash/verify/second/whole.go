// Package second owns the second opinion: a search for a linearization of whole
// stores' histories with Porcupine. It knows nothing of how the judge orders
// operations and is exponential where the judge is not, so it is asked about
// small histories and about windows of long ones.
package second

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/model"
)

// Answer is what came of a search.
type Answer string

const (
	Linearizable    Answer = "linearizable"
	NotLinearizable Answer = "not linearizable"
	// Unaffordable: it was not searched, or not to the end; Why says what of.
	Unaffordable Answer = "unaffordable"
)

// Result of one search.
type Result struct {
	Answer     Answer
	Why        string
	Operations int           // that were searched through
	Unknown    int           // of those, with an unknown outcome
	Stuck      uint64        // NotLinearizable: the first operation that no order reaches; 0: not known
	Took       time.Duration // differs from time to time: it belongs into no verdict
}

// Base is the store that a history begins with.
type Base struct {
	Revision  int64
	Compacted int64
	KVs       []history.KV
	Leases    map[int64]int64 // ID to TTL, seconds
	// NoLeaseEnds: no revision of the history is the end of a lease that nobody
	// asked for, so none needs to be thought of.
	NoLeaseEnds bool
	// Prefix is that of the keys whose every writer is in the history; answers
	// of ranges beyond it are not compared. "": all keys.
	Prefix string
	// Blind are prefixes of keys within Prefix that are not followed, such as those
	// of locks. With any, operations on locks and elections are left out.
	Blind []string
	// Foreign are the revisions that wrote nothing but keys that are not followed.
	Foreign []int64
	// Uncertainty is how far the clocks of the clients may be apart, nanoseconds.
	Uncertainty int64
}

// Limits bound a search.
type Limits struct {
	Operations  int           // 0: 1,000
	Unknown     int           // outcomes, and ends of leases, that are not known; 0: 12
	Concurrency int           // of acknowledged operations; 0: 24
	Timeout     time.Duration // 0: 10 s
}

func (l *Limits) defaults() {
	if l.Operations == 0 {
		l.Operations = 1000
	}
	if l.Unknown == 0 {
		l.Unknown = 12
	}
	if l.Concurrency == 0 {
		l.Concurrency = 24
	}
	if l.Timeout == 0 {
		l.Timeout = 10 * time.Second
	}
}

// Whole searches a whole history, whatever it costs, up to a time-out.
func Whole(ops []history.Op, base Base, timeout time.Duration) Result {
	const any = 1 << 30
	return search(ops, base, false, Limits{Operations: any, Unknown: any, Concurrency: any, Timeout: timeout})
}

func search(ops []history.Op, base Base, inOrder bool, l Limits) Result {
	began := time.Now()
	p, why := prepare(ops, base)
	p.inOrder = inOrder
	res := Result{Answer: Unaffordable, Why: why, Operations: len(p.ops), Unknown: p.unknown}
	switch {
	case why != "":
		return res
	case len(p.ops) > l.Operations:
		res.Why = fmt.Sprintf("%d operations are more than %d", len(p.ops), l.Operations)
		return res
	case p.unknown > l.Unknown:
		res.Why = fmt.Sprintf("%d unknown outcomes are more than %d", p.unknown, l.Unknown)
		return res
	}
	if n := concurrency(p.ops); n > l.Concurrency+p.unknown {
		res.Why = fmt.Sprintf("%d operations at a time are more than %d", n, l.Concurrency+p.unknown)
		return res
	}
	said, info := porcupine.CheckOperationsVerbose(p.model(), p.ops, l.Timeout)
	res.Took = time.Since(began)
	switch said {
	case porcupine.Ok:
		res.Answer = Linearizable
	case porcupine.Illegal:
		res.Answer, res.Stuck = NotLinearizable, stuck(p.ops, info)
	default:
		res.Why = fmt.Sprintf("the search was not done after %v", l.Timeout)
	}
	return res
}

// stuck is the operation that returned first of those that the longest partial
// linearization does not have.
func stuck(ops []porcupine.Operation, info porcupine.LinearizationInfo) uint64 {
	reached := make(map[int]bool)
	for _, partition := range info.PartialLinearizationsOperations() {
		longest := []porcupine.Operation(nil)
		for _, order := range partition {
			if len(order) > len(longest) {
				longest = order
			}
		}
		for _, o := range longest {
			reached[o.Metadata.(int)] = true
		}
	}
	first := -1
	for i := range ops {
		if !reached[i] && (first < 0 || ops[i].Return < ops[first].Return) {
			first = i
		}
	}
	if first < 0 {
		return 0
	}
	return ops[first].Input.(*history.Op).ID
}

// model is the whole store as Porcupine wants it: one partition, since
// revisions tie all keys together.
func (p *problem) model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return p.start },
		Step: func(state, input, _ any) (bool, any) { return p.step(state.(at), input.(*history.Op)) },
		Equal: func(a, b any) bool {
			x, y := a.(at), b.(at)
			return x.upTo == y.upTo && x.from == y.from && x.done == y.done && model.Same(x.state, y.state)
		},
	}
}

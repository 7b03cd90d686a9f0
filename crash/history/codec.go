package history

import "fmt"

// Field order is the format: a new field goes to the end, with a new version in
// the file's header.

// Flags of an operation.
const (
	opSucceeded = 1 << iota
	opDenied
	opCall
)

// Flags of a request.
const (
	reqSerializable = 1 << iota
	reqPrev
	reqKeysOnly
	reqCountOnly
)

// Flags of a result.
const (
	resMore = 1 << iota
	resSucceeded
)

// maxDepth bounds nested transactions; etcd itself only bounds their size.
const maxDepth = 8

func appendOp(b []byte, o *Op) ([]byte, error) {
	e := encoder{b: b}
	e.op(o)
	if e.err != nil {
		return e.b, fmt.Errorf("encode operation %d: %w", o.ID, e.err)
	}
	return e.b, nil
}

func (e *encoder) op(o *Op) {
	e.enum(uint8(o.Kind), uint8(kinds), "kind")
	e.enum(uint8(o.Outcome), uint8(Failed)+1, "outcome")
	flags := flag(o.Succeeded, opSucceeded) | flag(o.Denied, opDenied) | flag(o.Call != nil, opCall)
	e.byte(flags)
	e.uvarint(o.ID)
	e.varint(int64(o.Client))
	e.string(o.Member)
	e.string(o.User)
	e.varint(o.Invoke)
	e.varint(o.Return)
	e.string(o.Error)
	e.varint(o.Revision)
	e.uvarint(o.RaftTerm)
	e.uvarint(o.MemberID)
	e.branches(&Branches{o.Compares, o.Then, o.Else}, 0)
	e.results(o.Results, 0)
	if o.Call != nil {
		e.call(o.Call)
	}
}

func (e *encoder) branches(t *Branches, depth int) {
	if depth > maxDepth {
		e.fail("transactions are nested too deeply")
		return
	}
	e.uvarint(uint64(len(t.Compares)))
	for i := range t.Compares {
		c := &t.Compares[i]
		e.enum(uint8(c.Target), uint8(compareTargets), "compare's target")
		e.enum(uint8(c.Result), uint8(compareResults), "compare's result")
		e.string(c.Key)
		e.string(c.End)
		e.value(c.Value)
		e.varint(c.Number)
	}
	e.requests(t.Then, depth)
	e.requests(t.Else, depth)
}

func (e *encoder) requests(reqs []Request, depth int) {
	e.uvarint(uint64(len(reqs)))
	for i := range reqs {
		r := &reqs[i]
		e.enum(uint8(r.Verb), uint8(verbs), "verb")
		if r.Verb == Txn {
			if r.Txn == nil {
				e.fail("a nested transaction without branches")
				return
			}
			e.branches(r.Txn, depth+1)
			continue
		}
		e.string(r.Key)
		e.string(r.End)
		switch r.Verb {
		case Put:
			e.byte(flag(r.Prev, reqPrev))
			e.value(r.Value)
			e.varint(r.Lease)
		case Delete:
			e.byte(flag(r.Prev, reqPrev))
		case Range:
			e.byte(flag(r.Serializable, reqSerializable) | flag(r.KeysOnly, reqKeysOnly) | flag(r.CountOnly, reqCountOnly))
			e.varint(r.Revision)
			e.varint(r.Limit)
			e.enum(uint8(r.Order), uint8(orders), "order")
			e.enum(uint8(r.Sort), uint8(targets), "sort target")
		}
	}
}

func (e *encoder) results(results []Result, depth int) {
	if depth > maxDepth {
		e.fail("answers are nested too deeply")
		return
	}
	e.uvarint(uint64(len(results)))
	for i := range results {
		r := &results[i]
		e.byte(flag(r.More, resMore) | flag(r.Succeeded, resSucceeded))
		e.varint(r.Count)
		e.varint(r.Deleted)
		e.uvarint(uint64(len(r.KVs)))
		for j := range r.KVs {
			e.kv(&r.KVs[j])
		}
		e.results(r.Results, depth+1)
	}
}

func (e *encoder) call(c *Call) {
	e.varint(c.Lease)
	e.varint(c.TTL)
	e.varint(c.Granted)
	e.varint(c.Revision)
	e.varint(c.CompactRevision)
	e.uvarint(uint64(c.Hash))
	e.byte(flag(c.Physical, 1))
	for _, s := range [...]string{c.Name, c.Key, c.End, c.Value, c.Method, c.Role, c.Permission} {
		e.string(s)
	}
	e.varint(c.Size)
	e.uvarint(c.Leader)
	e.uvarint(c.Index)
	e.uvarint(uint64(len(c.List)))
	for _, s := range c.List {
		e.string(s)
	}
}

// decode fills op from payload, reusing its slices.
func (d *decoder) decode(payload []byte, op *Op) error {
	d.begin(payload)
	op.Kind = Kind(d.enum(uint8(kinds)))
	op.Outcome = Outcome(d.enum(uint8(Failed) + 1))
	flags := d.flags(opSucceeded | opDenied | opCall)
	op.Succeeded, op.Denied = flags&opSucceeded != 0, flags&opDenied != 0
	op.ID = d.uvarint()
	op.Client = d.int32()
	op.Member, op.User = d.name(), d.name()
	op.Invoke, op.Return = d.varint(), d.varint()
	op.Error = d.string()
	op.Revision = d.varint()
	op.RaftTerm, op.MemberID = d.uvarint(), d.uvarint()
	op.Compares, op.Then, op.Else = d.compares(op.Compares), d.requests(op.Then, 0), d.requests(op.Else, 0)
	op.Results = d.results(op.Results, 0)
	op.Call = nil
	if flags&opCall != 0 {
		op.Call = d.call()
	}
	return d.end()
}

func (d *decoder) compares(cs []Compare) []Compare {
	cs = grow(cs, d.count())
	for i := range cs {
		cs[i] = Compare{
			Target: CompareTarget(d.enum(uint8(compareTargets))), Result: CompareResult(d.enum(uint8(compareResults))),
			Key: d.name(), End: d.name(), Value: d.value(), Number: d.varint(),
		}
	}
	return cs
}

func (d *decoder) requests(reqs []Request, depth int) []Request {
	reqs = grow(reqs, d.count())
	for i := range reqs {
		r := Request{Verb: Verb(d.enum(uint8(verbs)))}
		if r.Verb == Txn {
			if depth++; depth > maxDepth {
				d.bad = true
				return reqs[:i]
			}
			r.Txn = &Branches{Compares: d.compares(nil), Then: d.requests(nil, depth), Else: d.requests(nil, depth)}
			depth--
			reqs[i] = r
			continue
		}
		r.Key, r.End = d.name(), d.name()
		switch r.Verb {
		case Put:
			r.Prev = d.flags(reqPrev) != 0
			r.Value, r.Lease = d.value(), d.varint()
		case Delete:
			r.Prev = d.flags(reqPrev) != 0
		case Range:
			flags := d.flags(reqSerializable | reqKeysOnly | reqCountOnly)
			r.Serializable, r.KeysOnly, r.CountOnly = flags&reqSerializable != 0, flags&reqKeysOnly != 0, flags&reqCountOnly != 0
			r.Revision, r.Limit = d.varint(), d.varint()
			r.Order, r.Sort = Order(d.enum(uint8(orders))), Target(d.enum(uint8(targets)))
		}
		reqs[i] = r
	}
	return reqs
}

func (d *decoder) results(results []Result, depth int) []Result {
	n := d.count()
	if n > 0 && depth > maxDepth {
		d.bad = true
		return nil
	}
	results = grow(results, n)
	for i := range results {
		r := &results[i]
		flags := d.flags(resMore | resSucceeded)
		r.More, r.Succeeded = flags&resMore != 0, flags&resSucceeded != 0
		r.Count, r.Deleted = d.varint(), d.varint()
		r.KVs = grow(r.KVs, d.count())
		for j := range r.KVs {
			d.kv(&r.KVs[j])
		}
		r.Results = d.results(r.Results, depth+1)
	}
	return results
}

func (d *decoder) call() *Call {
	c := &Call{
		Lease: d.varint(), TTL: d.varint(), Granted: d.varint(), Revision: d.varint(), CompactRevision: d.varint(),
	}
	hash := d.uvarint()
	if c.Hash = uint32(hash); uint64(c.Hash) != hash {
		d.bad = true
	}
	c.Physical = d.flags(1) != 0
	for _, s := range [...]*string{&c.Name, &c.Key, &c.End, &c.Value, &c.Method, &c.Role, &c.Permission} {
		*s = d.name()
	}
	c.Size, c.Leader, c.Index = d.varint(), d.uvarint(), d.uvarint()
	c.List = grow(c.List, d.count())
	for i := range c.List {
		c.List[i] = d.string()
	}
	return c
}

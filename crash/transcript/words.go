package transcript

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/etcdlab/etcdlab/crash/history"
)

// words tells what operations ask and are answered, in words. Keys are told
// without the run's prefix.
type words struct{ run *history.Run }

// clipped is how much of a text of unknown length is told, in bytes.
const clipped = 60

func clip(s string) string {
	if len(s) > clipped {
		return strconv.Quote(s[:clipped]) + fmt.Sprintf("... (%d B)", len(s))
	}
	return strconv.Quote(s)
}

// bare is s as it is, or quoted where a terminal or a reader would stumble.
func bare(s string) string {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == '"' {
			return strconv.Quote(s)
		}
	}
	if s == "" {
		return `""`
	}
	return s
}

// oneLine is a sentence as it is, without what a terminal would interpret.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

func (w words) key(k string) string { return bare(strings.TrimPrefix(k, w.run.Prefix)) }

// interval tells one key or an interval of them, as etcd's API has it.
func (w words) interval(key, end string) string {
	switch {
	case end == "":
		return w.key(key)
	case end == "\x00" && key == "\x00":
		return "all keys"
	case end == "\x00":
		return w.key(key) + ".."
	case key == w.run.Prefix && end == after(key):
		return "*"
	case key != "" && end == after(key):
		return w.key(key) + "*"
	}
	return w.key(key) + ".." + w.key(end)
}

// value tells who wrote a value: request N of operation OP as OP.N.
func (w words) value(v string) string {
	name, ok := history.ParseValue(v)
	if !ok {
		return clip(v)
	}
	by := fmt.Sprintf("%d.%d", name.Op, name.N)
	if name.RunID != w.run.ID {
		by = "run " + bare(name.RunID) + "'s " + by
	}
	return fmt.Sprintf("<%s, %d B>", by, len(v))
}

// asked tells what an operation asks.
func (w words) asked(o *history.Op) string {
	switch {
	case o.Kind == history.KindKV && len(o.Then) == 1:
		return w.request(&o.Then[0])
	case o.Kind == history.KindKV || o.Kind == history.KindTxn:
		return "txn " + w.branches(&history.Branches{Compares: o.Compares, Then: o.Then, Else: o.Else})
	case o.Call == nil:
		return o.Kind.String()
	}
	return w.call(o.Kind, o.Call)
}

func (w words) branches(b *history.Branches) string {
	var s strings.Builder
	if len(b.Compares) > 0 {
		s.WriteString("if ")
		for i := range b.Compares {
			if i > 0 {
				s.WriteString(" and ")
			}
			s.WriteString(w.compare(&b.Compares[i]))
		}
		s.WriteString(" ")
	}
	s.WriteString("{" + w.requests(b.Then) + "}")
	if len(b.Else) > 0 {
		s.WriteString(" else {" + w.requests(b.Else) + "}")
	}
	return s.String()
}

func (w words) compare(c *history.Compare) string {
	is := strconv.FormatInt(c.Number, 10)
	if c.Target == history.CompareValue {
		is = w.value(c.Value)
	}
	return fmt.Sprintf("%s(%s) %s %s", c.Target, w.interval(c.Key, c.End), c.Result, is)
}

func (w words) requests(reqs []history.Request) string {
	all := make([]string, len(reqs))
	for i := range reqs {
		all[i] = w.request(&reqs[i])
	}
	return strings.Join(all, "; ")
}

func (w words) request(r *history.Request) string {
	if r.Verb == history.Txn {
		if r.Txn == nil {
			return "txn"
		}
		return "txn " + w.branches(r.Txn)
	}
	s := r.Verb.String() + " " + w.interval(r.Key, r.End)
	if r.Verb == history.Put {
		s += " = " + w.value(r.Value)
	}
	for _, with := range []struct {
		said bool
		what string
	}{
		{r.Lease != 0, fmt.Sprintf(" lease %x", r.Lease)},
		{r.Prev, " prev"},
		{r.Revision != 0, fmt.Sprintf(" at %d", r.Revision)},
		{r.Limit != 0, fmt.Sprintf(" limit %d", r.Limit)},
		{r.Serializable, " serializable"},
		{r.KeysOnly, " keys only"},
		{r.CountOnly, " count only"},
		{r.Order != history.NoOrder || r.Sort != history.SortKey, fmt.Sprintf(" sort %s %s", r.Sort, r.Order)},
	} {
		if with.said {
			s += with.what
		}
	}
	return s
}

// call tells an operation that is neither a request nor a transaction; of what
// it asks and is answered, that which is set.
func (w words) call(k history.Kind, c *history.Call) string {
	s := k.String()
	add := func(said bool, format string, args ...any) {
		if said {
			s += " " + fmt.Sprintf(format, args...)
		}
	}
	add(c.Method != "", "%s", oneLine(c.Method))
	add(c.Name != "", "%s", w.key(c.Name))
	add(c.Role != "", "role %s", bare(c.Role))
	add(c.Permission != "", "%s", oneLine(c.Permission))
	add(c.Key != "" || c.End != "", "%s", w.interval(c.Key, c.End))
	add(c.Value != "", "= %s", w.value(c.Value))
	add(c.Lease != 0, "lease %x", c.Lease)
	add(c.TTL != 0, "ttl %ds", c.TTL)
	add(c.Granted != 0, "of %ds", c.Granted)
	add(c.Revision != 0, "revision %d", c.Revision)
	add(c.Physical, "physical")
	add(c.CompactRevision != 0, "compacted %d", c.CompactRevision)
	add(c.Hash != 0, "hash %08x", c.Hash)
	add(c.Size != 0, "%d B", c.Size)
	add(c.Leader != 0, "leader %s", w.memberName(c.Leader))
	add(c.Index != 0, "applied %d", c.Index)
	add(len(c.List) > 0, "[%s]", list(c.List, w.key))
	return s
}

func (w words) memberName(id uint64) string {
	if name := nameOf(w.run, id); name != "" {
		return name
	}
	return strconv.FormatUint(id, 16)
}

// listed bounds what is told of a list.
const listed = 4

func list[T any](all []T, tell func(T) string) string {
	var some []string
	for _, x := range all[:min(len(all), listed)] {
		some = append(some, tell(x))
	}
	s := strings.Join(some, ", ")
	if more := len(all) - listed; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

package history

import (
	"strconv"
	"strings"
)

// filler is repeated after a value's name. It is not one byte alone: a sector
// of the wrong value must not look like a sector of the right one.
const filler = "etcdlab-0123456789-"

// Value is the unique value of request n of an operation: its name, padded to
// size bytes. The name is never cut, so a value may be longer than size.
func Value(runID string, client int32, opID uint64, n, size int) string {
	b := make([]byte, 0, max(size, len(runID)+48))
	b = append(b, runID...)
	b = append(b, '/')
	b = strconv.AppendInt(b, int64(client), 10)
	b = append(b, '/')
	b = strconv.AppendUint(b, opID, 10)
	b = append(b, '/')
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, '/')
	for from := int(opID % uint64(len(filler))); len(b) < size; from = 0 {
		b = append(b, filler[from:min(len(filler), from+size-len(b))]...)
	}
	return string(b)
}

// ValueName is who wrote a value.
type ValueName struct {
	RunID  string
	Client int32
	Op     uint64
	N      int
}

// ParseValue takes the name from a value that Value made. It says nothing about
// the filler: compare with the request's own value for that.
func ParseValue(v string) (name ValueName, ok bool) {
	var client, op, n string
	if name.RunID, v, ok = strings.Cut(v, "/"); !ok || name.RunID == "" {
		return ValueName{}, false
	}
	if client, v, ok = strings.Cut(v, "/"); !ok {
		return ValueName{}, false
	}
	if op, v, ok = strings.Cut(v, "/"); !ok {
		return ValueName{}, false
	}
	if n, _, ok = strings.Cut(v, "/"); !ok {
		return ValueName{}, false
	}
	c, err1 := strconv.ParseInt(client, 10, 32)
	o, err2 := strconv.ParseUint(op, 10, 64)
	i, err3 := strconv.ParseInt(n, 10, 32)
	if err1 != nil || err2 != nil || err3 != nil || i < 0 {
		return ValueName{}, false
	}
	name.Client, name.Op, name.N = int32(c), o, int(i)
	return name, true
}

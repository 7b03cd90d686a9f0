package history

import (
	"strconv"
	"strings"
)

// filler is repeated after a value's name. It is not one byte alone: a sector
// of the wrong value must not look like a sector of the right one.
const filler = "etcdlab-0123456789-"

// fillers is filler over and over, to be copied in one go.
var fillers = strings.Repeat(filler, 64)

// Value is the unique value of request n of an operation: its name, padded to
// size bytes. Requests are numbered from 0 in one count over the operation: all
// of Then, then all of Else, a nested transaction itself before its own Then and
// Else. The name is never cut, so a value may be longer than size.
func Value(runID string, client int32, opID uint64, n, size int) string {
	return string(appendValue(make([]byte, 0, max(size, len(runID)+48)), runID, client, opID, n, size))
}

func appendValue(b []byte, runID string, client int32, opID uint64, n, size int) []byte {
	size += len(b)
	b = append(b, runID...)
	b = append(b, '/')
	b = strconv.AppendInt(b, int64(client), 10)
	b = append(b, '/')
	b = strconv.AppendUint(b, opID, 10)
	b = append(b, '/')
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, '/')
	for from := int(opID % uint64(len(filler))); len(b) < size; from = 0 {
		b = append(b, fillers[from:min(len(fillers), from+size-len(b))]...)
	}
	return b
}

// maxValue bounds the values that the history keeps by their name alone; etcd
// refuses requests of more than 1.5 MiB by default.
const maxValue = 16 << 20

// made says whether v is what Value gives for the name and v's length.
func (n ValueName) made(v string) bool {
	var head [128]byte
	if len(n.RunID) > 64 {
		return false
	}
	b := appendValue(head[:0], n.RunID, n.Client, n.Op, n.N, 0)
	if rest, ok := strings.CutPrefix(v, string(b)); ok {
		for from := int(n.Op % uint64(len(filler))); rest != ""; from = 0 {
			part := fillers[from:min(len(fillers), from+len(rest))]
			if !strings.HasPrefix(rest, part) {
				return false
			}
			rest = rest[len(part):]
		}
		return true
	}
	return false
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

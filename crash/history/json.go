package history

import "encoding/json"

var (
	outcomeNames = [...]string{"unknown", "ok", "failed"}
	kindNames    = [...]string{
		"kv", "txn", "compact", "lease-grant", "lease-keep-alive", "lease-revoke", "lease-ttl", "leases",
		"lock", "unlock", "campaign", "proclaim", "resign", "leader",
		"defrag", "snapshot", "status", "hash", "members", "alarms", "auth",
	}
	verbNames      = [...]string{"put", "range", "delete", "txn"}
	targetNames    = [...]string{"value", "version", "create", "mod", "lease"}
	resultNames    = [...]string{"=", ">", "<", "!="}
	orderNames     = [...]string{"none", "ascend", "descend"}
	sortNames      = [...]string{"key", "version", "create", "mod", "value"}
	watchKindNames = [...]string{"opened", "created", "events", "progress", "asked", "canceled", "closed"}
)

func (o Outcome) String() string       { return nameOf(outcomeNames[:], int(o)) }
func (k Kind) String() string          { return nameOf(kindNames[:], int(k)) }
func (v Verb) String() string          { return nameOf(verbNames[:], int(v)) }
func (t CompareTarget) String() string { return nameOf(targetNames[:], int(t)) }
func (r CompareResult) String() string { return nameOf(resultNames[:], int(r)) }
func (o Order) String() string         { return nameOf(orderNames[:], int(o)) }
func (t Target) String() string        { return nameOf(sortNames[:], int(t)) }
func (k WatchKind) String() string     { return nameOf(watchKindNames[:], int(k)) }

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "invalid"
}

// MarshalText makes JSON say what the number means.
func (o Outcome) MarshalText() ([]byte, error)       { return []byte(o.String()), nil }
func (k Kind) MarshalText() ([]byte, error)          { return []byte(k.String()), nil }
func (v Verb) MarshalText() ([]byte, error)          { return []byte(v.String()), nil }
func (t CompareTarget) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
func (r CompareResult) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
func (o Order) MarshalText() ([]byte, error)         { return []byte(o.String()), nil }
func (t Target) MarshalText() ([]byte, error)        { return []byte(t.String()), nil }
func (k WatchKind) MarshalText() ([]byte, error)     { return []byte(k.String()), nil }

// JSON is the operation as one line of JSON, for people and their tools; it is
// not read back. Keys and values that are not UTF-8 lose bytes.
func (o *Op) JSON() ([]byte, error) { return json.Marshal(o) }

// JSON is the record as one line of JSON, as an operation's.
func (r *WatchRecord) JSON() ([]byte, error) { return json.Marshal(r) }

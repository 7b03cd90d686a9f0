package history

import "encoding/json"

var (
	outcomeNames = [...]string{"unknown", "ok", "failed"}
	kindNames    = [...]string{"kv", "txn"}
	verbNames    = [...]string{"put", "range", "delete"}
	targetNames  = [...]string{"value", "version", "create", "mod"}
	resultNames  = [...]string{"=", ">", "<", "!="}
)

func (o Outcome) String() string       { return nameOf(outcomeNames[:], int(o)) }
func (k Kind) String() string          { return nameOf(kindNames[:], int(k)) }
func (v Verb) String() string          { return nameOf(verbNames[:], int(v)) }
func (t CompareTarget) String() string { return nameOf(targetNames[:], int(t)) }
func (r CompareResult) String() string { return nameOf(resultNames[:], int(r)) }

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

// JSON is the operation as one line of JSON, for people and their tools; it is
// not read back. Keys and values that are not UTF-8 lose bytes.
func (o *Op) JSON() ([]byte, error) { return json.Marshal(o) }

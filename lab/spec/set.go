package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// set puts one value over the scenario, as --set does: a path such as
// run.schedule[0].with.cut, "=", and the value as YAML would have it, or text.
func (s *Scenario) set(assignment string) error {
	file := "--set " + assignment
	path, value, ok := strings.Cut(assignment, "=")
	if !ok || path == "" || value == "" {
		return &Error{File: file, Message: "want path=value, such as run.rounds=5 or lab.etcd.version=v3.5.4"}
	}
	keys := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	if len(keys) == 0 || len(keys) > 4*maxDepth {
		return &Error{File: file, Message: fmt.Sprintf("%q is no path to a field, such as run.rounds", shorten(path))}
	}
	document := func(value string) []byte {
		var b strings.Builder
		for _, k := range keys {
			b.WriteString("{" + strconv.Quote(k) + ": ")
		}
		b.WriteString(value + strings.Repeat("}", len(keys)))
		return []byte(b.String())
	}
	d, root, err := newDecoder(file, document(value))
	if err != nil || strings.ContainsAny(value, "{}[],\n") && !strings.HasPrefix(value, "[") && !strings.HasPrefix(value, "{") {
		// A text that YAML would read as something else, such as write,nth=3.
		if d, root, err = newDecoder(file, document(strconv.Quote(value))); err != nil {
			return &Error{File: file, Message: fmt.Sprintf("the value %q cannot be read", shorten(value))}
		}
	}
	d.over = true
	d.scenario(root, s)
	for _, p := range d.problems {
		// Its place is in a document that nobody wrote.
		return &Error{File: file, Path: p.Path, Message: p.Message}
	}
	return nil
}

package lab

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/lab/spec"
)

// Difference says how a spec, or the binaries it stands for, differs from what a
// lab was made of, a line for each side of each field; "" if it does not.
func Difference(made *spec.Lab, of map[string]Binaries, asked *spec.Lab, images map[string]Binaries) string {
	is, want := fields(made), fields(asked)
	for _, m := range made.Members {
		is["binaries of "+m.Name] = of[m.Name].Version + " " + of[m.Name].Key
	}
	for _, m := range asked.Members {
		want["binaries of "+m.Name] = images[m.Name].Version + " " + images[m.Name].Key
	}
	// Which provider it is was settled by who was asked.
	delete(is, "provider")
	delete(want, "provider")
	var lines []string
	for name, value := range is {
		if want[name] != value {
			lines = append(lines, fmt.Sprintf("- %s: %s", name, value))
		}
	}
	for name, value := range want {
		if is[name] != value {
			lines = append(lines, fmt.Sprintf("+ %s: %s", name, value))
		}
	}
	// By field, what is before what should be.
	slices.SortFunc(lines, func(a, b string) int {
		if c := strings.Compare(fieldOf(a), fieldOf(b)); c != 0 {
			return c
		}
		return strings.Compare(b, a)
	})
	return strings.Join(lines, "\n")
}

func fieldOf(line string) string {
	n, _, _ := strings.Cut(line[2:], ": ")
	return n
}

// fields flattens a spec to paths such as members[0].etcd.version.
func fields(s *spec.Lab) map[string]string {
	flat := map[string]string{}
	data, err := json.Marshal(s)
	if err != nil {
		return flat // of plain fields: it cannot
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return flat
	}
	flatten(tree, "", flat)
	return flat
}

func flatten(node any, path string, flat map[string]string) {
	switch n := node.(type) {
	case map[string]any:
		for key, child := range n {
			flatten(child, strings.TrimPrefix(path+"."+key, "."), flat)
		}
	case []any:
		for i, child := range n {
			flatten(child, fmt.Sprintf("%s[%d]", path, i), flat)
		}
	case nil:
	case float64:
		flat[path] = fmt.Sprintf("%.0f", n)
	case string:
		if n != "" {
			flat[path] = n
		}
	case bool:
		if n {
			flat[path] = "true"
		}
	default:
		flat[path] = fmt.Sprint(n)
	}
}

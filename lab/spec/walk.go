package spec

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// field decodes the value of a field; fields are those of one mapping.
type (
	field  func(n ast.Node, path string)
	fields map[string]field
)

// value resolves aliases, notes where the value is, and decodes it.
func (d *decoder) value(n ast.Node, path string, f field) {
	place := start(n)
	for hops := 0; ; hops++ {
		switch x := n.(type) {
		case *ast.AnchorNode:
			n = x.Value
			if hops == 0 {
				place = start(n)
			}
			continue
		case *ast.AliasNode:
			name := x.Value.GetToken().Value
			target, ok := d.anchors[name]
			if !ok || hops > maxAliases {
				d.fail(x, path, "no anchor &%s defines a value for this alias", name)
				return
			}
			n = target
			continue
		case *ast.TagNode:
			d.fail(x, path, "a lab file has no tags; write the value without %s", x.GetToken().Value)
			return
		case *ast.NullNode:
			d.fail(x, path, "%s has no value; give it one or remove the line", last(path))
			return
		case nil:
			return
		}
		break
	}
	d.places[path] = place
	f(n, path)
}

// maxAliases bounds aliases of aliases; an anchor that contains only itself
// would have no end.
const maxAliases = 16

func anchorsOf(root ast.Node) map[string]ast.Node {
	v := anchorVisitor{}
	ast.Walk(v, root)
	return v
}

type anchorVisitor map[string]ast.Node

func (v anchorVisitor) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok {
		v[a.Name.GetToken().Value] = a.Value
	}
	return v
}

// mapping decodes a mapping with known fields.
func (d *decoder) mapping(n ast.Node, path string, known fields) {
	d.pairs(n, path, func(key string, at *ast.MappingValueNode) {
		f, ok := known[key]
		if !ok {
			d.fail(at, join(path, key), "unknown field %q%s", key, DidYouMean(key, known.names()))
			return
		}
		d.value(at.Value, join(path, key), f)
	})
}

// words decodes a mapping of text to text. Scalars are taken as written, so
// that snapshot-count: 100 means what it seems to.
func (d *decoder) words(m *map[string]string) field {
	return func(n ast.Node, path string) {
		if !d.over || *m == nil {
			*m = map[string]string{}
		}
		d.pairs(n, path, func(key string, at *ast.MappingValueNode) {
			d.value(at.Value, join(path, key), func(n ast.Node, path string) {
				s, ok := text(n)
				if !ok {
					d.fail(n, path, "%s must be text, a number, true or false, not %s", key, describe(n))
				}
				(*m)[key] = s
				d.places[path] = start(at) // it is the flag that is wrong more often than its value
			})
		})
	}
}

// pairs visits the keys of a mapping.
func (d *decoder) pairs(n ast.Node, path string, visit func(key string, at *ast.MappingValueNode)) {
	if path == "" {
		if a, ok := n.(*ast.AnchorNode); ok {
			n = a.Value
		}
		d.places[""] = start(n)
	}
	m, ok := n.(ast.MapNode)
	if !ok {
		what := last(path)
		if path == "" {
			what = "a lab file"
		}
		d.fail(n, path, "%s must be a mapping of fields to values, not %s", what, describe(n))
		return
	}
	for it := m.MapRange(); it.Next(); {
		pair := it.KeyValue()
		if pair.Key.IsMergeKey() {
			d.fail(pair, path, "a lab file has no merge keys (<<); write the fields out")
			continue
		}
		key, ok := text(pair.Key)
		if !ok {
			d.fail(pair, path, "a field's name must be text, not %s", describe(pair.Key))
			continue
		}
		visit(key, pair)
	}
}

func (d *decoder) string(s *string) field {
	return func(n ast.Node, path string) {
		v, ok := text(n)
		switch n.(type) {
		case *ast.StringNode, *ast.LiteralNode:
			*s = v
		default:
			hint := ""
			if ok {
				hint = fmt.Sprintf("; write it in quotes: %q", v)
			}
			d.fail(n, path, "%s must be text, not %s%s", last(path), describe(n), hint)
		}
	}
}

func (d *decoder) bool(b *bool) field {
	return func(n ast.Node, path string) {
		v, ok := n.(*ast.BoolNode)
		if !ok {
			d.fail(n, path, "%s must be true or false, not %s", last(path), describe(n))
			return
		}
		*b = v.Value
	}
}

func (d *decoder) int(i *int) field {
	return func(n ast.Node, path string) {
		if v, ok := n.(*ast.IntegerNode); ok {
			count, err := strconv.ParseInt(v.GetToken().Value, 0, 32)
			if err == nil {
				*i = int(count)
				return
			}
		}
		d.fail(n, path, "%s must be a whole number, not %s", last(path), describe(n))
	}
}

func (d *decoder) size(s *Size) field {
	return func(n ast.Node, path string) {
		v, ok := text(n)
		if !ok {
			d.fail(n, path, "%s must be a size such as 1GiB, not %s", last(path), describe(n))
			return
		}
		size, err := ParseSize(v)
		if err == nil && size == 0 {
			err = fmt.Errorf("%s must be more than 0", last(path))
		}
		if err != nil {
			d.fail(n, path, "%v", err)
			return
		}
		*s = size
	}
}

// Paths are dotted, with [i] for the members of a list: members[1].etcd.args.
// A flag's name may itself hold a dot; it is always the last part, and parent
// then only takes more steps.

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

func last(path string) string { return path[strings.LastIndex(path, ".")+1:] }

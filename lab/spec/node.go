package spec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of a lab file. The parser's time grows with the square of the nesting,
// so a small hostile file could hold it for minutes; a lab of nine members with
// fifty flags each has about 2,500 tokens.
const (
	maxBytes  = 1 << 20
	maxTokens = 10_000
)

// parse gives the only document's root.
func parse(src *source, data []byte) (ast.Node, error) {
	if len(data) > maxBytes {
		return nil, &Error{File: src.file, Message: fmt.Sprintf("the file has %d bytes; a lab file has at most %d", len(data), maxBytes)}
	}
	tokens := lexer.Tokenize(string(data))
	if len(tokens) > maxTokens {
		return nil, &Error{File: src.file, Message: fmt.Sprintf("the file has more than %d YAML tokens; a lab file is smaller than that", maxTokens)}
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, syntaxError(src, err)
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if _, ok := doc.Body.(*ast.DirectiveNode); ok {
			continue
		}
		if root != nil {
			return nil, src.at(start(doc.Body), "", "a second document begins here; a lab file has one lab")
		}
		root = doc.Body
	}
	if root == nil {
		return nil, &Error{File: src.file, Message: fmt.Sprintf("the file is empty; a lab file begins with apiVersion: %s", APIVersion)}
	}
	return root, nil
}

// syntaxError takes the parser's message and place, without its own excerpt.
func syntaxError(src *source, err error) error {
	var y yaml.Error
	if !errors.As(err, &y) {
		return &Error{File: src.file, Message: err.Error()}
	}
	p := position{}
	if t := y.GetToken(); t != nil {
		p = place(t)
	}
	return src.at(p, "", strings.TrimSpace(y.GetMessage()))
}

func place(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, t.Position.Column}
}

// start is where a node's text begins. A mapping's own token is its first
// colon, so its first key is asked instead.
func start(n ast.Node) position {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return start(n.Values[0])
		}
	case *ast.MappingValueNode:
		return start(n.Key)
	}
	return place(n.GetToken())
}

// describe names what a node is, for "must be X, not Y".
func describe(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "empty"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.StringNode:
		return fmt.Sprintf("the text %q", shorten(n.Value))
	case *ast.LiteralNode:
		return "a block of text"
	}
	return "a " + n.Type().YAMLName()
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "..."
	}
	return s
}

// text is a scalar as it was written: 0x10 stays 0x10, "100" becomes 100.
func text(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return "", false
}

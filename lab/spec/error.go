package spec

import (
	"fmt"
	"strings"
	"unicode"
)

// Error is one thing wrong with a lab. With a Line it is about a lab file and
// prints as file:line:column: message with the line and a caret below; without
// one it is about a value that came from elsewhere (a flag, an API) and prints
// as path: message.
type Error struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`   // 1-based
	Column  int    `json:"column,omitempty"` // 1-based, in characters
	Path    string `json:"path,omitempty"`   // members[1].etcd.version
	Message string `json:"message"`
	Text    string `json:"text,omitempty"` // the offending line
}

func (e *Error) Error() string {
	switch {
	case e.Line > 0:
		head := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
		return head + excerpt(e.Text, e.Column)
	case e.File != "":
		return e.File + ": " + e.Message
	case e.Path != "":
		return e.Path + ": " + e.Message
	}
	return e.Message
}

// window is how much of a long line is shown, in characters.
const window = 100

// excerpt is the line, or its part around the column, with a caret below.
// What a terminal would interpret is replaced: the file may be anyone's.
func excerpt(line string, column int) string {
	runes := []rune(line)
	if len(runes) == 0 {
		return ""
	}
	at := min(max(column-1, 0), len(runes))
	from := 0
	if len(runes) > window {
		from = min(max(at-window/2, 0), len(runes)-window)
		runes = runes[from : from+window]
	}
	for i, r := range runes {
		switch {
		case r == '\t':
			runes[i] = ' '
		case !unicode.IsPrint(r):
			runes[i] = unicode.ReplacementChar
		}
	}
	return "\n  " + strings.TrimRight(string(runes), " ") + "\n  " + strings.Repeat(" ", at-from) + "^"
}

// source is the text that errors quote.
type source struct {
	file  string
	lines []string
}

func newSource(file string, data []byte) *source {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	return &source{file: file, lines: strings.Split(text, "\n")}
}

// at makes an error about a place.
func (s *source) at(p position, path, message string) *Error {
	e := &Error{File: s.file, Line: p.line, Column: p.column, Path: path, Message: message}
	if p.line >= 1 && p.line <= len(s.lines) {
		e.Text = s.lines[p.line-1]
	}
	return e
}

// position is a place in a file, 1-based; zero is none.
type position struct{ line, column int }

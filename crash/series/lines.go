package series

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// maxLine bounds one entry, and maxText each of its sentences.
const (
	maxLine = 64 << 10
	maxText = 4 << 10
)

// lines reads whole lines, with their newlines; what follows the last newline
// was not finished, and is left out.
type lines struct{ r *bufio.Reader }

func newLines(r io.Reader) *lines { return &lines{bufio.NewReaderSize(r, maxLine)} }

func (l *lines) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errors.New("it has no end; the file is damaged")
	}
	return line, err
}

// cut shortens what would make a line too long.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + " …"
}

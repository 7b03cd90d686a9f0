// Package tail owns the ends of logs, as errors show them.
package tail

import (
	"io"
	"os"
	"strings"
)

// Read gives the last bytes of a file, at most so many.
func Read(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(f, most)) // it may grow meanwhile
}

// Lines are the last lines of a text, indented.
func Lines(text string, most int) string {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r", "")) // consoles end lines with both
	if text == "" {
		return "  (nothing)"
	}
	all := strings.Split(text, "\n")
	return "  " + strings.Join(all[max(0, len(all)-most):], "\n  ")
}

// File is the end of a log, indented; where it cannot be read, why.
func File(file string) string {
	const most, lines = 4 << 10, 8
	data, err := Read(file, most)
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	return Lines(string(data), lines)
}

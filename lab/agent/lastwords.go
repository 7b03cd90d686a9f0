package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"

	"github.com/etcdlab/etcdlab/internal/tail"
)

// marker is in the line that the agent writes before each start of etcd.
const marker = `"logger":"etcdlab"`

// lastWords finds in the end of a log what says best why the last etcd ended.
func lastWords(file string) string {
	data, err := tail.Read(file, 64<<10)
	if err != nil {
		return ""
	}
	return words(data)
}

// words is the last panic or fatal error; without one, the first line that is
// not of the log, which with a wrong flag is the complaint before the usage;
// else the last line.
func words(log []byte) string {
	const longest = 500
	var last, grave, plain string
	s := bufio.NewScanner(bytes.NewReader(log))
	s.Buffer(nil, len(log)+1)
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		switch {
		case line == "":
		case strings.Contains(line, marker):
			last, grave, plain = "", "", "" // what was before is of another run
		case strings.HasPrefix(line, "{"):
			text, level := logLine(line)
			last = text
			if level == "panic" || level == "fatal" {
				grave = text
			}
		case strings.HasPrefix(line, "panic: ") && grave == "", strings.HasPrefix(line, "fatal error: "):
			grave = line
		default:
			last = line
			if plain == "" {
				plain = line
			}
		}
	}
	for _, text := range []string{grave, plain, last} {
		if text != "" {
			return text[:min(len(text), longest)]
		}
	}
	return ""
}

// logLine takes from a line of etcd's log what a person wants to know.
func logLine(line string) (text, level string) {
	var entry struct{ Level, Msg, Error string }
	if json.Unmarshal([]byte(line), &entry) != nil || entry.Msg == "" {
		return line, ""
	}
	if entry.Error != "" {
		return entry.Msg + ": " + entry.Error, entry.Level
	}
	return entry.Msg, entry.Level
}

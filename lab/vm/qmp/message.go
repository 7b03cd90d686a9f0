package qmp

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Event is what QEMU says unasked.
type Event struct {
	Name string          // SHUTDOWN, RESET, GUEST_PANICKED, ...
	Data json.RawMessage // nil if it has none
	Time time.Time       // by QEMU's wall clock
}

// Field is a field of the event's data as text, "" if it has no such field.
func (e Event) Field(name string) string {
	var fields map[string]any
	if json.Unmarshal(e.Data, &fields) != nil || fields[name] == nil {
		return ""
	}
	return fmt.Sprint(fields[name])
}

// Error is QEMU's refusal of a command.
type Error struct {
	Command string `json:"-"`
	Class   string `json:"class"` // GenericError, CommandNotFound, ...
	Desc    string `json:"desc"`
}

func (e *Error) Error() string { return fmt.Sprintf("QEMU refuses %s: %s", e.Command, e.Desc) }

// message is one line from QEMU: the greeting, an answer or an event.
type message struct {
	greeting bool
	version  string
	id       uint64
	result   json.RawMessage
	refused  *Error
	event    *Event
}

// parse decodes a line. Unknown fields are for a newer client.
func parse(line []byte) (message, error) {
	var m message
	var raw struct {
		QMP *struct {
			Version struct {
				QEMU struct{ Major, Minor, Micro int }
			}
		}
		ID        *uint64
		Return    json.RawMessage
		Error     *Error
		Event     string
		Data      json.RawMessage
		Timestamp struct{ Seconds, Microseconds int64 }
	}
	if err := json.Unmarshal(line, &raw); err != nil {
		return m, fmt.Errorf("decode QEMU's line %q: %w", shorten(line), err)
	}
	switch {
	case raw.QMP != nil:
		m.greeting = true
		v := raw.QMP.Version.QEMU
		m.version = fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro)
	case raw.Event != "":
		m.event = &Event{Name: raw.Event, Data: raw.Data, Time: time.Unix(raw.Timestamp.Seconds, raw.Timestamp.Microseconds*1000)}
	case raw.Return == nil && raw.Error == nil:
		return m, fmt.Errorf("decode QEMU's line %q: neither answer nor event", shorten(line))
	default:
		if raw.ID != nil {
			m.id = *raw.ID
		}
		m.result, m.refused = raw.Return, raw.Error
	}
	return m, nil
}

// request is a command as it goes out.
func request(id uint64, command string, arguments any) ([]byte, error) {
	if command == "" {
		return nil, errors.New("no command")
	}
	data, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        uint64 `json:"id"`
	}{command, arguments, id})
	return append(data, '\n'), err
}

func shorten(line []byte) []byte { return line[:min(len(line), 120)] }

package transcript

import (
	"bufio"
	"encoding/json"
	"fmt"
	"time"
)

// text writes a line a record: seconds since the run's begin, who, which
// member, what, and what became of it.
type text struct {
	words
	w *bufio.Writer
}

func (t *text) record(r *Record) error {
	client, member, what := "-", "", ""
	switch {
	case r.Op != nil:
		o := r.Op
		client, member = fmt.Sprintf("c%d", o.Client), t.server(o.Member, o.MemberID)
		what = fmt.Sprintf("%d %s -> %s (%v)", o.ID, t.asked(o), t.answered(o), time.Duration(o.Return-o.Invoke).Round(time.Microsecond))
		if o.User != "" {
			what = "as " + bare(o.User) + ": " + what
		}
	case r.Watch != nil:
		client, member = fmt.Sprintf("c%d", r.Watch.Client), t.server(r.Watch.Member, r.Watch.MemberID)
		what = t.watch(r.Watch)
	default:
		member, what = r.Event.Member, t.event(r.Event)
	}
	if member == "" {
		member = "-"
	}
	_, err := fmt.Fprintf(t.w, "%12.6f  %-7s %-4s %s\n", time.Duration(r.Time-t.run.Start).Seconds(), client, oneLine(member), what)
	return err
}

// server is the member that was asked, or else the one that answered.
func (t *text) server(asked string, answered uint64) string {
	if asked != "" {
		return asked
	}
	return nameOf(t.run, answered)
}

func (*text) end() ([]string, error) { return nil, nil }

// jsonLines writes an object a line: all that the log has, times in nanoseconds
// of CLOCK_MONOTONIC, with a field "type" first that is op, watch or event.
type jsonLines struct{ w *bufio.Writer }

func (j *jsonLines) record(r *Record) error {
	var kind string
	var b []byte
	var err error
	switch {
	case r.Op != nil:
		kind = "op"
		b, err = r.Op.JSON()
	case r.Watch != nil:
		kind = "watch"
		b, err = r.Watch.JSON()
	default:
		kind = "event"
		b, err = json.Marshal(r.Event)
	}
	if err != nil {
		return err
	}
	// Each is an object of at least one field.
	_, err = fmt.Fprintf(j.w, "{\"type\":%q,%s\n", kind, b[1:])
	return err
}

func (*jsonLines) end() ([]string, error) { return nil, nil }

package transcript

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

// porcupinePage writes one JSON object, in the shape of what Porcupine's visualiser
// embeds in its page: Partitions, one here, with a History of what clients did
// (ClientId, Start, End, Description), and Annotations, here what happened to
// members. Each element of the History also has the fields of a
// porcupine.Operation (Input, Call, Output, Return), so that the History can be
// decoded into []porcupine.Operation and given to a model. Times are nanoseconds
// since the run's begin.
//
// An operation whose outcome is unknown may be applied at any later time: it
// ends with the history, on a client of its own. One that was refused did
// nothing and is left out, as are operations that are not of the KV API.
type porcupinePage struct {
	words
	w       *bufio.Writer
	begun   bool
	last    int64 // the latest time seen
	clients int32
	open    []element // unknown; they end at last
	notes   []annotation
	left    int // operations that are not of the KV API
}

// element is one operation.
type element struct {
	ClientId      int // the name that Porcupine has for it
	Start, End    int64
	OriginalStart string // as the page tells them
	OriginalEnd   string
	Description   string
	Metadata      string
	Input         input
	Call          int64
	Output        *output // nil: it is unknown
	Return        int64
}

type input struct {
	Compares []history.Compare `json:",omitempty"`
	Then     []history.Request
	Else     []history.Request `json:",omitempty"`
}

type output struct {
	Revision  int64
	Succeeded bool `json:",omitempty"`
	Results   []history.Result
}

// annotation has a ClientId because the page adds them all up.
type annotation struct {
	ClientId    int
	Tag         string // the member, or the run
	Start, End  int64
	Description string
	Details     string
	Annotation  bool
}

func newPorcupine(w *bufio.Writer, run *history.Run) *porcupinePage {
	return &porcupinePage{w: w, words: words{run: run}}
}

func (p *porcupinePage) record(r *Record) error {
	at := r.Time - p.run.Start
	p.last = max(p.last, at)
	switch {
	case r.Event != nil:
		tag := r.Event.Member
		if tag == "" {
			tag = "run"
		}
		p.notes = append(p.notes, annotation{
			Tag: tag, Start: at - r.Event.Duration, End: at, Description: string(r.Event.Kind), Details: p.event(r.Event), Annotation: true,
		})
		return nil
	case r.Op == nil:
		return nil
	}
	o := r.Op
	p.clients = max(p.clients, o.Client)
	if o.Kind != history.KindKV && o.Kind != history.KindTxn {
		p.left++
		return nil
	}
	e := element{
		ClientId: int(o.Client), Start: o.Invoke - p.run.Start, End: at, Call: o.Invoke - p.run.Start, Return: at,
		OriginalStart: time.Duration(o.Invoke - p.run.Start).String(), OriginalEnd: time.Duration(at).String(),
		Metadata:    fmt.Sprintf("operation %d", o.ID),
		Description: p.asked(o) + " -> " + p.answered(o),
		Input:       input{o.Compares, o.Then, o.Else},
	}
	switch o.Outcome {
	case history.Failed:
		return nil
	case history.Unknown:
		p.open = append(p.open, e)
		return nil
	}
	e.Output = &output{o.Revision, o.Succeeded, o.Results}
	return p.element(&e)
}

func (p *porcupinePage) element(e *element) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	lead := ",\n"
	if !p.begun {
		lead, p.begun = `{"Partitions":[{"History":[`+"\n", true
	}
	_, err = p.w.WriteString(lead + string(b))
	return err
}

func (p *porcupinePage) end() ([]string, error) {
	for i := range p.open {
		e := &p.open[i]
		e.ClientId = int(p.clients) + 1 + i
		e.End, e.Return, e.OriginalEnd = p.last+1, p.last+1, "unknown"
		if err := p.element(e); err != nil {
			return nil, err
		}
	}
	lead := ""
	if !p.begun {
		lead = `{"Partitions":[{"History":[`
	}
	notes := make([]string, len(p.notes))
	for i := range p.notes {
		b, err := json.Marshal(&p.notes[i])
		if err != nil {
			return nil, err
		}
		notes[i] = string(b)
	}
	_, err := fmt.Fprintf(p.w, "%s\n],\"PartialLinearizations\":[],\"Largest\":{}}],\"Annotations\":[\n%s\n]}\n", lead, strings.Join(notes, ",\n"))
	if p.left > 0 {
		return []string{fmt.Sprintf("%d operations are not of the KV API and were left out", p.left)}, err
	}
	return nil, err
}

package report

import (
	"cmp"
	"embed"
	"html/template"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "page/*"))

// Render writes the page: one file that loads nothing, links only to files
// beside itself, and depends on d alone.
func Render(w io.Writer, d Data) error {
	return pageTemplate.ExecuteTemplate(w, "page.html", newView(d))
}

// view is what the page shows, in words: the template only lays it out.
type view struct {
	Title, Scenario string
	Subtitle        []string
	Class, Word     string
	Sentence, Worst string
	Notes           []string
	Stats           []fact
	Checks          []checkView
	Timeline        *timeline
	Rounds          roundsView
	Facts           []fact
	Members         []memberView
	Final           []finalView
	Command         string
	Files           []fileView
	Tool            string
}

type fact struct{ Name, Value string }

type checkView struct {
	Name, Class, Word, Detail string
	Open                      bool
	Evidence                  []evidenceView
	More                      string
}

type evidenceView struct {
	Message string
	Story   []string
	Facts   []string
	Keys    []string
}

type memberView struct {
	Name, ID, URL, Args string
}

type finalView struct {
	Name, Serving, Revision, Index, Hash, Alarms, Data string
	Bad                                                bool
}

type fileView struct{ Href, Path, Size string }

func newView(d Data) view {
	v := d.Verdict
	scenario := cmp.Or(v.Scenario, d.Run.Scenario, "run")
	out := view{
		Scenario: line(scenario),
		Subtitle: subtitle(d),
		Class:    class(v.Verdict),
		Word:     word(v.Verdict),
		Sentence: Sentence(d),
		Worst:    worst(v),
		Notes:    notes(d),
		Stats:    stats(d),
		Timeline: newTimeline(d),
		Rounds:   newRoundsView(d),
		Facts:    facts(d),
		Command:  printable(d.Run.Command),
		Tool:     line(d.Run.Tool),
	}
	out.Title = strings.ToUpper(out.Word) + ": " + out.Scenario + " on etcd " + line(cmp.Or(v.Etcd, d.Run.Etcd))
	for _, c := range v.Checks {
		out.Checks = append(out.Checks, newCheckView(c, d.Run.Start))
	}
	for _, m := range d.Run.Members {
		out.Members = append(out.Members, memberView{line(m.Name), hex(m.ID), line(m.ClientURL), printable(strings.Join(m.Args, "\n"))})
	}
	if d.Final != nil {
		out.Final = finalViews(d.Final)
	}
	for _, f := range d.Files {
		out.Files = append(out.Files, newFileView(f))
	}
	return out
}

// class names a verdict for the style sheet; what verify does not know of yet
// must not look like a pass.
func class(r verify.Result) string {
	switch r {
	case verify.Pass, verify.Fail, verify.Inconclusive:
		return string(r)
	}
	return string(verify.Error)
}

func word(r verify.Result) string {
	if r == "" {
		return string(verify.Error)
	}
	return line(string(r))
}

func newCheckView(c verify.Check, start int64) checkView {
	out := checkView{
		Name: line(c.Name), Class: class(c.Verdict), Word: word(c.Verdict),
		Detail: printable(c.Detail), Open: c.Verdict != verify.Pass,
	}
	for _, e := range c.Evidence {
		out.Evidence = append(out.Evidence, newEvidenceView(e, start))
	}
	if more := c.Total - len(c.Evidence); more > 0 && len(c.Evidence) > 0 {
		out.More = number(more) + " more in the same check"
	}
	return out
}

func newEvidenceView(e verify.Evidence, start int64) evidenceView {
	out := evidenceView{Message: printable(e.Message)}
	for _, s := range e.Story {
		out.Story = append(out.Story, printable(s))
	}
	if e.Time != 0 {
		out.Facts = append(out.Facts, "at "+instant(e.Time, start))
	}
	if e.Member != "" {
		out.Facts = append(out.Facts, "member "+line(e.Member))
	}
	if e.Revision != 0 {
		out.Facts = append(out.Facts, "revision "+strconv.FormatInt(e.Revision, 10))
	}
	if e.Operation != 0 {
		out.Facts = append(out.Facts, "operation "+strconv.FormatUint(e.Operation, 10), "client "+strconv.Itoa(int(e.Client)))
	}
	for _, k := range e.Keys {
		if k = line(k); !slices.Contains(out.Keys, k) {
			out.Keys = append(out.Keys, k)
		}
	}
	return out
}

func finalViews(f *history.Final) []finalView {
	var out []finalView
	for _, m := range f.Members {
		v := finalView{Name: line(m.Name), Serving: "serving", Revision: "–", Index: "–", Hash: "–", Alarms: "none", Data: line(m.Data)}
		if m.Revision != 0 {
			v.Revision = number(m.Revision)
			v.Index = strconv.FormatUint(m.AppliedIndex, 10) + " of " + strconv.FormatUint(m.RaftIndex, 10) + ", term " + strconv.FormatUint(m.RaftTerm, 10)
		}
		if m.HashRevision != 0 {
			v.Hash = hex(uint64(m.Hash)) + " at " + number(m.HashRevision)
		}
		if !m.Serving {
			v.Serving, v.Bad = "not serving", true
		}
		if m.Error != "" {
			v.Serving += ": " + line(m.Error)
		}
		if len(m.Alarms) > 0 {
			v.Alarms, v.Bad = line(strings.Join(m.Alarms, ", ")), true
		}
		if m.Data == "" {
			v.Data = "none: " + line(m.DataError)
		}
		out = append(out, v)
	}
	return out
}

func newFileView(f File) fileView {
	parts := strings.Split(f.Path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	// The leading ./ keeps a name with a colon from reading as a scheme.
	out := fileView{Href: "./" + strings.Join(parts, "/"), Path: line(f.Path)}
	if f.Size >= 0 {
		out.Size = bytesOf(f.Size)
	}
	return out
}

package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/etcdlab/etcdlab/crash/verify"
)

type junitSuites struct {
	XMLName xml.Name   `xml:"testsuites"`
	Suite   junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr,omitempty"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
	Output     string          `xml:"system-out,omitempty"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	Failure *junitResult `xml:"failure"`
	Error   *junitResult `xml:"error"`
	Skipped *junitResult `xml:"skipped"`
	Output  string       `xml:"system-out,omitempty"`
}

type junitResult struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit writes the checks as test cases: fail is a failure, inconclusive is
// skipped, error is an error. A verdict that no check explains becomes a case
// of its own, so that what is not a pass never reads as one.
func JUnit(w io.Writer, d Data) error {
	v := d.Verdict
	a := extent(d)
	suite := junitSuite{
		Name:      strings.TrimSpace("etcdlab " + line(v.Scenario) + " " + line(v.Etcd)),
		Time:      strconv.FormatFloat(float64(a.to-a.from)/1e9, 'f', 3, 64),
		Timestamp: line(d.Run.Wall),
		Output:    Sentence(d),
	}
	for _, f := range append(facts(d), fact{"command", line(d.Run.Command)}) {
		suite.Properties = append(suite.Properties, junitProperty(f))
	}
	explained := v.Verdict == verify.Pass
	for _, c := range v.Checks {
		explained = explained || c.Verdict == v.Verdict
		suite.add(c, v.Scenario, d.Run.Start)
	}
	if !explained {
		suite.add(verify.Check{Name: "verdict", Verdict: v.Verdict, Detail: reason(v)}, v.Scenario, d.Run.Start)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Suite: suite}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuite) add(c verify.Check, scenario string, start int64) {
	out := junitCase{Class: "etcdlab." + line(scenario), Name: line(c.Name)}
	result := &junitResult{Message: line(c.Detail), Type: word(c.Verdict), Text: evidenceText(c, start)}
	s.Tests++
	switch c.Verdict {
	case verify.Pass:
		out.Output = printable(c.Detail)
	case verify.Fail:
		out.Failure = result
		s.Failures++
	case verify.Inconclusive:
		result.Type = ""
		out.Skipped = result
		s.Skipped++
	default:
		out.Error = result
		s.Errors++
	}
	s.Cases = append(s.Cases, out)
}

// evidenceText is a check's evidence as lines of text.
func evidenceText(c verify.Check, start int64) string {
	var b strings.Builder
	for _, e := range c.Evidence {
		v := newEvidenceView(e, start)
		b.WriteString(v.Message)
		if len(v.Facts) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(v.Facts, ", "))
		}
		if len(v.Keys) > 0 {
			fmt.Fprintf(&b, " keys: %s", strings.Join(v.Keys, ", "))
		}
		b.WriteString("\n")
		for _, s := range v.Story {
			b.WriteString("  " + s + "\n")
		}
	}
	if more := c.Total - len(c.Evidence); more > 0 && len(c.Evidence) > 0 {
		fmt.Fprintf(&b, "%s more in the same check\n", number(more))
	}
	return b.String()
}

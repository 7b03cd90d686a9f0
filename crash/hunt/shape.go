package hunt

import (
	"regexp"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/verify"
)

// Shape is what a finding looks like, whoever and whenever it happened to: the
// check that made it, and its message without names and numbers.
type Shape struct {
	Check string `json:"check"`
	Text  string `json:"text"`
}

func (s Shape) String() string { return s.Check + ": " + s.Text }

// ShapesOf are those of a verdict, check by check and the worst first, each once.
func ShapesOf(v *verify.Verdict) (shapes []Shape) {
	for _, c := range v.Checks {
		if c.Verdict != verify.Fail {
			continue
		}
		if len(c.Evidence) == 0 {
			shapes = append(shapes, Shape{c.Name, abstract(c.Detail)})
		}
		for _, e := range c.Evidence {
			if s := (Shape{c.Name, abstract(e.Message)}); !slices.Contains(shapes, s) {
				shapes = append(shapes, s)
			}
		}
	}
	return shapes
}

// most is how long an abstract text may be: what identifies is at the front.
const most = 160

// rules are applied in their order; each takes something away that differs from
// one time to another.
var rules = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`[;,] (and )?the (next fault|last change of that) was .*$`), ""},
	{regexp.MustCompile(`\{"level".*?"msg":"([^"]*)".*$`), "$1"}, // a line of a log
	{regexp.MustCompile(`\{.*$`), ""},
	{regexp.MustCompile(`\bc\d+/\d+(\.\d+)?`), "V"},       // values
	{regexp.MustCompile(`"[^"]*"|/[^\s,;:()\[\]]+`), "K"}, // names and keys
	{regexp.MustCompile(`\[K, [^\[\]()]*\)`), "K"},        // intervals
	{regexp.MustCompile(`\bm\d+(, m\d+)*( and m\d+)?\b`), "M"},
	{regexp.MustCompile(`after the [a-zA-Z -]+ of round`), "after the fault of round"},
	{regexp.MustCompile(`\b[0-9a-f]{8,16}\b`), "N"},
	{regexp.MustCompile(`\d+(\.\d+)?(ms|µs|s|m)?\b`), "N"},
	{regexp.MustCompile(`\bN( to N|, N)+\b`), "N"},
	{regexp.MustCompile(`\b(put|delete|a delete of|get|a put of) K( = V)?`), "OP"},
	{regexp.MustCompile(`\b(transaction|compaction|read|put|get|delete|range) N of client N`), "OP"},
	{regexp.MustCompile(`\bK = V\b`), "OP"},
	{regexp.MustCompile(`OP(, OP|, K)+`), "OP"},
	{regexp.MustCompile(`\s+`), " "},
}

// names is how many rules come before what is in parentheses goes: intervals have
// half of a pair.
const names = 6

// parenthesis is one without another inside.
var parenthesis = regexp.MustCompile(` ?\([^()]*\)`)

// abstract leaves of a message what is the same whenever the same goes wrong.
func abstract(message string) string {
	s := strings.ToValidUTF8(strings.ReplaceAll(message, "\n", " "), "?")
	for i, r := range rules {
		if i == names {
			for range 5 { // they are nested
				s = parenthesis.ReplaceAllString(s, "")
			}
		}
		s = r.what.ReplaceAllString(s, r.by)
	}
	s = strings.TrimSpace(head(s))
	if len(s) > most {
		s = s[:strings.LastIndex(s[:most], " ")+1]
		s = strings.ToValidUTF8(strings.TrimSpace(s), "")
	}
	return s
}

// head is the message up to the colon that details follow, if more than a name
// is before it. What a log says is no detail.
func head(s string) string {
	for at := 0; ; {
		i := strings.Index(s[at:], ": ")
		if i < 0 {
			return s
		}
		if at += i; strings.Count(s[:at], " ") > 2 && !strings.HasSuffix(s[:at], "of its log") {
			return s[:at]
		}
		at += 2
	}
}

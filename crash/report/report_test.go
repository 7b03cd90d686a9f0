package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify"
)

var three = []string{"m1", "m2", "m3"}

// samples cover what runs look like. Set ETCDLAB_REPORT_SAMPLES to a directory
// to keep them and look at the pages in a browser.
var samples = map[string]sample{
	"pass":         {members: three, rounds: 5, perSecond: 1500, fault: "power-loss", lasting: 700 * ms, result: verify.Pass},
	"fail":         {members: three, rounds: 3, perSecond: 1500, fault: "power-loss", lasting: 700 * ms, result: verify.Fail, lost: true},
	"inconclusive": {members: three, rounds: 1, perSecond: 900, fault: "power-loss", lasting: 900 * ms, result: verify.Inconclusive},
	"failpoint":    {members: three[:1], rounds: 4, perSecond: 700, fault: "failpoint", lasting: 600 * ms, result: verify.Pass},
	"hundreds":     {members: three, rounds: 400, perSecond: 60, fault: "power-loss", lasting: 300 * ms, result: verify.Pass},
	"no-rounds":    {members: three, perSecond: 400, fault: "none", lasting: 900 * ms, result: verify.Inconclusive},
	"error":        {members: three, rounds: 2, perSecond: 700, fault: "power-loss", lasting: 500 * ms, result: verify.Error, lost: true},
}

func keep(t *testing.T, name string) string {
	if root := os.Getenv("ETCDLAB_REPORT_SAMPLES"); root != "" {
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	return t.TempDir()
}

func TestWrite(t *testing.T) {
	for name, s := range samples {
		t.Run(name, func(t *testing.T) {
			dir := keep(t, name)
			s.build().write(t, dir)
			if err := Write(dir, s.verdict()); err != nil {
				t.Fatal(err)
			}
			page, err := os.ReadFile(filepath.Join(dir, history.FileReport))
			if err != nil {
				t.Fatal(err)
			}
			checkPage(t, page)
			if most := 600 << 10; len(page) > most {
				t.Errorf("the page has %d bytes, want at most %d", len(page), most)
			}
			t.Logf("%d operations, %d events, %d bytes", len(s.ops), len(s.events), len(page))
		})
	}
}

var (
	loads = regexp.MustCompile(`(?i)(src|srcset|href|action|data|poster)\s*=\s*["']?\s*(https?:|//|javascript:|data:)|@import|url\((?:[^#)]|#[^p])|<(script|link|iframe|object|embed|img|base)\b`)
	href  = regexp.MustCompile(`href="([^"]*)"`)
)

// checkPage says what is true of every page: it is well-formed, nothing is
// loaded, and all links lead to the run directory.
func checkPage(t *testing.T, page []byte) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(page))
	for {
		_, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
	}
	if m := loads.Find(page); m != nil {
		t.Errorf("the page loads something: %q", m)
	}
	for _, m := range href.FindAllSubmatch(page, -1) {
		if !bytes.HasPrefix(m[1], []byte("./")) {
			t.Errorf("the link %q does not stay in the run directory", m[1])
		}
	}
	for _, bad := range []string{"ZgotmplZ", "NaN", "Inf", "%!", "<no value>"} {
		if bytes.Contains(page, []byte(bad)) {
			t.Errorf("the page contains %q", bad)
		}
	}
}

func render(t *testing.T, d Data) string {
	t.Helper()
	var b bytes.Buffer
	if err := Render(&b, d); err != nil {
		t.Fatal(err)
	}
	checkPage(t, b.Bytes())
	return b.String()
}

func TestZeroData(t *testing.T) {
	page := render(t, Data{Verdict: &verify.Verdict{}})
	if !strings.Contains(page, `class="verdict error"`) {
		t.Error("an empty verdict does not read as an error")
	}
}

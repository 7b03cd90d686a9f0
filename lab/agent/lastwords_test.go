package agent

import (
	"strings"
	"testing"
)

const start = `{"level":"info","logger":"etcdlab","msg":"etcdlab starts etcd"}` + "\n"

func TestWords(t *testing.T) {
	for name, c := range map[string]struct{ log, want string }{
		"empty":       {"", ""},
		"last line":   {start + `{"level":"info","msg":"a"}` + "\n" + `{"level":"info","msg":"b"}` + "\n", "b"},
		"other run":   {`{"level":"fatal","msg":"old"}` + "\n" + start, ""},
		"fatal":       {start + `{"level":"fatal","msg":"cannot","error":"input/output error"}` + "\n" + `{"level":"info","msg":"b"}`, "cannot: input/output error"},
		"panic":       {start + `{"level":"info","msg":"a"}` + "\npanic: failpoint panic: {}\n\ngoroutine 1 [running]:\nmain.main()\n", "panic: failpoint panic: {}"},
		"zap's panic": {start + `{"level":"panic","msg":"no","error":"x"}` + "\npanic: no\n\ngoroutine 1\n", "no: x"},
		"wrong flag":  {start + "flag provided but not defined: -x\nUsage:\n  etcd [flags]\n", "flag provided but not defined: -x"},
		"not a log":   {"{not json\n", "{not json"},
		"long":        {strings.Repeat("x", 2000), strings.Repeat("x", 500)},
	} {
		if got := words([]byte(c.log)); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add([]byte(start + `{"level":"fatal","msg":"cannot","error":"x"}`))
	f.Add([]byte("panic: \x00\n{}"))
	f.Fuzz(func(t *testing.T, log []byte) {
		if got := words(log); len(got) > 500 || strings.Contains(got, "\n") {
			t.Errorf("%q", got)
		}
	})
}

package agent

import (
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/lab"
)

func TestDecode(t *testing.T) {
	good := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	bad := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	_, err := decode[empty](strings.NewReader(""))
	good(err)
	f, err := decode[freezeRequest](strings.NewReader(`{"deadline":"250ms"}`))
	good(err)
	if f.Deadline != 250e6 {
		t.Errorf("deadline %d", f.Deadline)
	}
	_, err = decode[restoreRequest](strings.NewReader(`{"policy":"torn","seed":18446744073709551615}`))
	good(err)

	_, err = decode[empty](strings.NewReader(`{"x":1}`))
	bad(err, `unknown field "x"`)
	_, err = decode[empty](strings.NewReader(`{} {}`))
	bad(err, "more follows")
	_, err = decode[freezeRequest](strings.NewReader(""))
	bad(err, "deadline must be more than 0")
	_, err = decode[freezeRequest](strings.NewReader(`{"deadline":"2h"}`))
	bad(err, "at most 1m0s")
	_, err = decode[freezeRequest](strings.NewReader(`{"deadline":5}`))
	bad(err, "decode")
	_, err = decode[holdRequest](strings.NewReader(`{"max":"-1s"}`))
	bad(err, "max must be")
	_, err = decode[linkRequest](strings.NewReader(`{}`))
	bad(err, "up must be")
	_, err = decode[restoreRequest](strings.NewReader(`{"policy":"most"}`))
	bad(err, "most")
	_, err = decode[restoreRequest](strings.NewReader(`{"policy":"drop","seed":-1}`))
	bad(err, "decode")
	n, err := decode[netRulesRequest](strings.NewReader(`{"rules":[{"action":"drop","peers":["198.18.0.12"],"side":"peer"}],"seed":3,"owner":"x/1"}`))
	good(err)
	if len(n.Rules) != 1 || n.Rules[0].Peers[0].String() != "198.18.0.12" || n.Seed != 3 {
		t.Errorf("rules %+v", n)
	}
	_, err = decode[netRulesRequest](strings.NewReader(`{"rules":[{"action":"drop"},{"action":"lose"}]}`))
	bad(err, `rule 2: action "lose"`)
	_, err = decode[netRulesRequest](strings.NewReader(`{"rules":[{"action":"drop","los":1}]}`))
	bad(err, `unknown field "los"`)
	_, err = decode[profileRequest](strings.NewReader(`{"profile":"` + strings.Repeat("x", maxBody) + `"}`))
	bad(err, "too large")
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "{}", `{"deadline":"1s"}`, `{"policy":"drop","seed":1}`, `{"faults":[{"op":"flush","nth":3}]}`, `{"up":true}`, `{"rules":[{"action":"shape","loss":0.5}],"seed":1}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if r, err := decode[freezeRequest](strings.NewReader(body)); err == nil && (r.Deadline <= 0 || r.Deadline > duration(maxWait)) {
			t.Errorf("deadline %v", r.Deadline)
		}
		if r, err := decode[restoreRequest](strings.NewReader(body)); err == nil && r.Policy == "" {
			t.Error("no policy")
		}
		if r, err := decode[linkRequest](strings.NewReader(body)); err == nil && r.Up == nil {
			t.Error("no up")
		}
		if r, err := decode[netRulesRequest](strings.NewReader(body)); err == nil && lab.CheckNetRules(r.Owner, r.Rules) != nil {
			t.Errorf("rules %+v", r.Rules)
		}
		_, _ = decode[faultsRequest](strings.NewReader(body))
	})
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"lab":"a","member":"b","self":["x"],"stateDir":"/s","dataDir":"/d","logFile":"/l","etcd":"/e","netns":"n"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := parseConfig(data); err == nil && (c.Lab == "" || c.Member == "" || len(c.Self) == 0) {
			t.Errorf("%+v", c)
		}
	})
}

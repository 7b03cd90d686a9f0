package agent

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

func TestProcessOfAnyHost(t *testing.T) {
	ctx := context.Background()
	f := &fake{}
	c := serveFake(t, f)
	must(t, c.Signal(ctx, lab.SignalQuit))
	var e *Error
	if err := c.Signal(ctx, "SIGSTOP"); !errors.As(err, &e) || e.Kind != kindInvalid {
		t.Errorf("an unknown signal: %v", err)
	}
	must(t, c.Configure(ctx, nil))
	if err := c.Configure(ctx, &lab.Settings{Args: map[string]string{"name": "x"}}); !errors.As(err, &e) || e.Kind != kindInvalid {
		t.Errorf("settings of another member: %v", err)
	}
	if s, err := c.Settings(ctx); err != nil || s == nil || len(s.Without) != 1 {
		t.Errorf("%+v %v", s, err)
	}
	program := filepath.Join(t.TempDir(), "etcd")
	must(t, os.WriteFile(program, []byte("ELF"), 0o700))
	must(t, c.ConfigureAt(ctx, &lab.Settings{Binaries: &lab.Binaries{Key: "k-1", Version: "v3.5.0", Etcd: program, Guest: &lab.GuestImage{}}}))
	must(t, c.Wipe(ctx))
	must(t, c.RestoreSnapshot(ctx, strings.NewReader("snapshot"), lab.Restoring{Cluster: "m1=http://1:2380", Token: "t&=?"}))
	if err := c.RestoreSnapshot(ctx, strings.NewReader(""), lab.Restoring{}); !errors.As(err, &e) || e.Kind != kindInvalid {
		t.Errorf("a restore without a cluster: %v", err)
	}
	if _, err := c.Upload(ctx, "..", "etcd", strings.NewReader("")); err == nil {
		t.Error("a key that is a path was taken")
	}
	must(t, c.SetLimits(ctx, lab.Limits{CPU: 0.5}))
	if l, err := c.Limits(ctx); err != nil || l.By != "cpu.max" || l.Files != 3 || l.Open != 9 {
		t.Errorf("%+v %v", l, err)
	}
	must(t, c.SetClock(ctx, lab.Clock{Offset: -2 * time.Hour, Rate: 0.1}))
	if got, err := c.Clock(ctx); err != nil || (got.Offset-time.Hour).Abs() > time.Minute || got.Rate != 0.05 {
		t.Errorf("%+v %v", got, err)
	}
	want := "signal SIGQUIT; configure nothing; upload etcd of k-1: ELF; configure map[] &{k-1 v3.5.0 /there/etcd   <nil> <nil>}; " +
		"wipe; restore snapshot as t&=?; limit {CPU:0.5 Memory:0 Files:0}; clock -2h0m0s 0.1"
	if got := f.said(); got != want {
		t.Errorf("called:\n%s, want\n%s", got, want)
	}
}

func TestSameSettings(t *testing.T) {
	joined := &lab.Settings{Args: map[string]string{"initial-cluster-state": "existing", "initial-cluster": "a=b"}}
	other := &lab.Settings{Args: map[string]string{"snapshot-count": "5"}}
	if !sameSettings(nil, joined) || !sameSettings(other, other) || sameSettings(nil, other) || sameSettings(joined, &lab.Settings{Env: map[string]string{"A": "b"}}) {
		t.Error("what is the same")
	}
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"args":{"snapshot-count":"5"},"without":["x"],"env":{"A":"b"},"binaries":{"key":"k","version":"v","etcd":"/e"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s lab.Settings
		if Decode(data, &s) != nil || s.Check() != nil {
			return
		}
		line := s.Line([]string{"--name=m1", "--data-dir=/d", "--snapshot-count=1"})
		if len(line) < 2 || line[0] != "--name=m1" || line[1] != "--data-dir=/d" {
			t.Errorf("%q", line)
		}
		again, err := json.Marshal(&s)
		var back lab.Settings
		if err != nil || Decode(again, &back) != nil || !sameSettings(&s, &back) {
			t.Errorf("%s became %s", data, again)
		}
	})
}

func FuzzProcessRequests(f *testing.F) {
	for _, s := range []string{`{"signal":"SIGTERM"}`, `{"cpu":0.5,"memory":1,"files":2}`, `{"wall":1,"rate":-0.1}`, `{"cluster":"a","token":"b"}`, `{"settings":null}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if r, err := decode[limitsRequest](strings.NewReader(body)); err == nil && (r.CPU < 0 || r.Memory < 0 || r.Files < 0) {
			t.Errorf("%+v", r)
		}
		if r, err := decode[clockRequest](strings.NewReader(body)); err == nil && (r.Wall <= 0 || r.Rate > maxRate || r.Rate < -maxRate) {
			t.Errorf("%+v", r)
		}
		if r, err := decode[restoringRequest](strings.NewReader(body)); err == nil && (r.Cluster == "" || r.Token == "") {
			t.Errorf("%+v", r)
		}
		_, _ = decode[signalRequest](strings.NewReader(body))
		_, _ = decode[settingsRequest](strings.NewReader(body))
	})
}

func TestOnlyGuestsHaveClocks(t *testing.T) {
	for _, disk := range []string{"fault", "plain", "dm"} {
		if LacksOf(disk, "ext4")["Clocker"] != lab.NoClock {
			t.Errorf("disk %s: a clock of its own", disk)
		}
	}
}

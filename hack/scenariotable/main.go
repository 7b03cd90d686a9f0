// Command scenariotable runs every built-in scenario but those of known bugs and
// writes what came of each as a table, the one in docs/scenarioresults.md.
//
//	scenariotable [-etcdlab BINARY] [NAME...]
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash"
)

func main() {
	etcdlab := flag.String("etcdlab", "bin/etcdlab", "the binary")
	flag.Parse()
	ok, err := table(os.Stdout, *etcdlab, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "scenariotable:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

// outcome is what a run says of itself.
type outcome struct {
	Verdict    string      `json:"verdict"`
	Reason     string      `json:"reason"`
	Etcd       string      `json:"etcd"`
	Operations int         `json:"operations"`
	Tally      crash.Tally `json:"tally"`
}

// table runs the scenarios one after the other; ok is that none failed.
func table(w io.Writer, etcdlab string, names []string) (ok bool, err error) {
	if len(names) == 0 {
		for _, s := range crash.Scenarios() {
			if !strings.HasPrefix(s.Name, "bug/") { // `etcdlab bugs run` has those
				names = append(names, s.Name)
			}
		}
	}
	dir, err := os.MkdirTemp("", "etcdlab-scenarios")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	version, err := exec.Command(etcdlab, "--version").Output()
	if err != nil {
		return false, fmt.Errorf("run %s: %w", etcdlab, err)
	}
	fmt.Fprintf(w, "# What the built-in scenarios came to\n\nMade by `make scenario-table` on %s with %s, provider process, seed 1.\nThose of known bugs are in [bugs.md](bugs.md).\n\n",
		time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(string(version)))
	fmt.Fprintln(w, "| scenario | etcd | verdict | verified faults | operations | time |\n|---|---|---|---|---|---|")
	ok = true
	for _, name := range names {
		begun := time.Now()
		o, err := one(etcdlab, name, dir)
		if err != nil {
			return false, err
		}
		ok = ok && o.Verdict != "fail" && o.Verdict != "error"
		verdict := o.Verdict
		if o.Reason != "" {
			verdict += ": " + strings.ReplaceAll(o.Reason, "|", `\|`)
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %d of %d | %d | %.0f s |\n", name, o.Etcd, verdict, o.Tally.Verified, o.Tally.Faults, o.Operations, time.Since(begun).Seconds())
	}
	return ok, nil
}

// notHere is etcdlab's exit code for what the machine or the lab lacks.
const notHere = 3

func one(etcdlab, name, dir string) (o outcome, err error) {
	var out, narration bytes.Buffer
	cmd := exec.Command(etcdlab, "run", name, "--seed", "1", "--run-dir", dir, "-o", "json")
	cmd.Stdout, cmd.Stderr = &out, &narration
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		return o, fmt.Errorf("run %s: %w", etcdlab, err)
	case exit != nil && exit.ExitCode() == notHere:
		return outcome{Verdict: "skip", Reason: lastLine(narration.String())}, nil
	}
	if json.Unmarshal(out.Bytes(), &o) != nil || o.Verdict == "" {
		return outcome{Verdict: "error", Reason: lastLine(narration.String())}, nil
	}
	if o.Verdict == "pass" {
		return o, os.RemoveAll(dir)
	}
	return o, nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

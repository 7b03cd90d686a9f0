// Command faulttable writes docs/faulttable.md: what each fault did on each
// provider, from the run directories of the scenario every-fault given as
// PROVIDER=DIR, and which scenario covers each row of the tools before us.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/history"
)

func main() {
	if err := write(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "faulttable:", err)
		os.Exit(1)
	}
}

// column is what one provider's run says of each fault.
type column struct {
	provider, etcd, tool string
	faults               map[string]string
}

func write(w io.Writer, args []string) error {
	var columns []column
	for _, a := range args {
		provider, dir, ok := strings.Cut(a, "=")
		if !ok {
			return fmt.Errorf("%q: want PROVIDER=RUN-DIRECTORY", a)
		}
		c, err := read(provider, dir)
		if err != nil {
			return err
		}
		columns = append(columns, c)
	}
	fmt.Fprintln(w, "# Faults, providers, scenarios")
	fmt.Fprintln(w, "\nMade by `make fault-table`: the scenario `every-fault` applies every fault of the\ncatalogue once on each provider. *works*: it was seen to take effect, and its targets\nwere seen to serve after it was healed; *skip*: the lab cannot do it, with the reason.")
	fmt.Fprint(w, "\n| fault | group |")
	for _, c := range columns {
		fmt.Fprintf(w, " %s |", c.provider)
	}
	fmt.Fprint(w, "\n|---|---|"+strings.Repeat("---|", len(columns))+"\n")
	for _, k := range fault.Kinds() {
		if k.Name == fault.NameNone {
			continue
		}
		fmt.Fprintf(w, "| `%s` | %s |", k.Name, k.Group)
		for _, c := range columns {
			said := c.faults[k.Name]
			if said == "" {
				said = "not tried"
			}
			fmt.Fprintf(w, " %s |", said)
		}
		fmt.Fprintln(w)
	}
	for _, c := range columns {
		fmt.Fprintf(w, "\n%s: etcd %s, etcdlab %s.", c.provider, c.etcd, c.tool)
	}
	fmt.Fprintln(w, "\n\n## What the tools before us do, and the scenario that does it\n\n| row | scenario |\n|---|---|")
	covers := covered()
	for _, row := range rows() {
		fmt.Fprintf(w, "| %s | %s |\n", row, strings.Join(covers[row], ", "))
	}
	fmt.Fprintln(w, "\n## Built-in scenarios\n\n| scenario | what it does |\n|---|---|")
	for _, s := range crash.Scenarios() {
		fmt.Fprintf(w, "| `%s` | %s |\n", s.Name, strings.ReplaceAll(s.Doc, "|", `\|`))
	}
	return nil
}

// read gives what a run's faults did.
func read(provider, dir string) (column, error) {
	run, err := history.ReadRun(dir)
	if err != nil {
		return column{}, fmt.Errorf("read the run of provider %s: %w", provider, err)
	}
	c := column{provider, run.Etcd, run.Tool, map[string]string{}}
	events, err := history.ReadEvents(dir)
	if err != nil {
		return c, fmt.Errorf("read the run of provider %s: %w", provider, err)
	}
	for _, e := range events {
		if e.Kind != history.EventRoundEnd || e.Figures == nil {
			continue
		}
		for _, in := range e.Figures.Injections() {
			said := "works"
			switch {
			case in.Skipped != "":
				said = "skip: " + in.Skipped
			case !in.Observed:
				said = "not seen: " + in.Message
			case !in.Recovered:
				said = "not recovered: " + in.Message
			}
			// A fault that is tried with several parameters works if it did once.
			if c.faults[in.Fault] != "works" {
				c.faults[in.Fault] = strings.ReplaceAll(said, "|", `\|`)
			}
		}
	}
	return c, nil
}

// covered are the scenarios by the rows that they cover.
func covered() map[string][]string {
	all := map[string][]string{}
	for _, s := range crash.Scenarios() {
		for _, row := range s.Covers {
			all[row] = append(all[row], "`"+s.Name+"`")
		}
	}
	return all
}

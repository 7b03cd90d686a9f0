// Package doctor owns the question whether this machine can do what etcdlab
// needs. It tries things instead of looking for them: it makes a cgroup and
// freezes it, makes a network namespace with a bridge in it, runs a guest in
// KVM. Whatever it makes is gone when it returns, and no check can hang it.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Check is one thing that was looked at.
type Check struct {
	Name   string   `json:"name"`
	OK     bool     `json:"ok"`
	Found  string   `json:"found"`
	Needed string   `json:"needed"`
	How    string   `json:"how,omitempty"` // to get it; "" when it is there
	For    []string `json:"for"`           // providers and features that use it
}

// probe finds out about one thing. What was found is told even beside an error.
type probe struct {
	name   string
	uses   []string
	needed string
	how    string // what to install (Debian's names) or do
	run    func(ctx context.Context) (found string, err error)
}

// limit bounds each check; they run side by side, so it bounds them all. On a
// machine that has much to do a check may take seconds, and lacks nothing.
const limit = 10 * time.Second

// Run makes every check that this operating system has, in the table's order.
func Run(ctx context.Context) []Check { return run(ctx, probes()) }

// For makes the checks that a lab of this provider needs, with its fault disks
// formatted as fs; fs is "" for disks of kind plain.
func For(ctx context.Context, provider, fs string) []Check {
	return run(ctx, needs(provider, fs))
}

func needs(provider, fs string) []probe {
	return slices.DeleteFunc(probes(), func(p probe) bool {
		if slices.Contains(p.uses, "fault disk") && fs == "" {
			return true
		}
		return !slices.Contains(p.uses, provider) && !slices.Contains(p.uses, provider+" with "+fs)
	})
}

// run does not end with ctx: a check that is left alone would not take away what
// it has made.
func run(ctx context.Context, probes []probe) []Check {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	answers := make([]chan Check, len(probes))
	for i, p := range probes {
		answers[i] = make(chan Check, 1) // a check that hangs answers nobody, later
		go func() { answers[i] <- p.check(ctx) }()
	}
	checks := make([]Check, len(probes))
	for i, p := range probes {
		select {
		case checks[i] = <-answers[i]:
		case <-ctx.Done():
			checks[i] = p.answer("no answer", fmt.Errorf("gave up after %v", limit))
		}
	}
	return checks
}

func (p probe) check(ctx context.Context) Check {
	found, err := p.run(ctx)
	return p.answer(found, err)
}

func (p probe) answer(found string, err error) Check {
	c := Check{Name: p.name, OK: err == nil, Found: found, Needed: p.needed, For: p.uses}
	if err != nil {
		c.How = p.how
		switch {
		case found == "":
			c.Found = err.Error()
		case err != errLacking:
			c.Found += ": " + err.Error()
		}
	}
	return c
}

// errLacking is an error for a probe whose finding says it all.
var errLacking = errors.New("not what is needed")

// MissingError says what this machine lacks; commands exit with 3.
type MissingError struct{ Checks []Check }

func (e *MissingError) Error() string {
	var b strings.Builder
	b.WriteString("this machine lacks something that the lab needs:")
	for _, c := range e.Checks {
		fmt.Fprintf(&b, "\n  %s: found %s; needed %s; to get it: %s", c.Name, c.Found, c.Needed, c.How)
	}
	return b.String()
}

// Missing is a *MissingError with the checks that failed, or nil.
func Missing(checks []Check) error {
	failed := slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return c.OK })
	if len(failed) == 0 {
		return nil
	}
	return &MissingError{failed}
}

// Table writes the checks as aligned columns, and how to get what is missing
// below them: those lines are long.
func Table(w io.Writer, checks []Check) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHECK\t\tFOUND\tNEEDED\tFOR")
	var missing []Check
	for _, c := range checks {
		mark := "ok"
		if !c.OK {
			mark = "--"
			missing = append(missing, c)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.Name, mark, c.Found, c.Needed, strings.Join(c.For, ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i, c := range missing {
		if i == 0 {
			fmt.Fprintln(w, "\nTo get what is missing:")
		}
		if _, err := fmt.Fprintf(w, "  %s: %s\n", c.Name, c.How); err != nil {
			return err
		}
	}
	return nil
}

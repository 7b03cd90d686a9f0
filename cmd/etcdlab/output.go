package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// output is how a command speaks: data on stdout, narration on stderr; with
// -o json progress is JSON lines and stdout ends with one object.
type output struct {
	format string
	out    io.Writer
	mu     sync.Mutex
	err    io.Writer
	start  time.Time
}

func addOutput(cmd *cobra.Command) *output {
	o := &output{start: time.Now()}
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "text or json")
	pre := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if o.format != "text" && o.format != "json" {
			return withCode(codeUsage, fmt.Errorf("unknown output %q; it is text or json", o.format))
		}
		o.out, o.err, o.start = cmd.OutOrStdout(), cmd.ErrOrStderr(), time.Now()
		if pre != nil {
			return pre(cmd, args)
		}
		return nil
	}
	return o
}

func (o *output) json() bool { return o.format == "json" }

// progress tells what is going on, a line each.
func (o *output) progress(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	elapsed := time.Since(o.start)
	message := fmt.Sprintf(format, args...)
	if o.json() {
		_ = json.NewEncoder(o.err).Encode(struct {
			Time    string  `json:"time"`
			Elapsed float64 `json:"elapsed"`
			Message string  `json:"message"`
		}{time.Now().UTC().Format(time.RFC3339Nano), elapsed.Seconds(), message})
		return
	}
	fmt.Fprintf(o.err, "%7.2fs  %s\n", elapsed.Seconds(), message)
}

// object prints the one object of -o json.
func (o *output) object(v any) error {
	e := json.NewEncoder(o.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// colour says whether stdout is a terminal that wants colour.
func (o *output) colour() bool {
	f, ok := o.out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash/traffic"
)

// trafficView is a profile as JSON; times are in milliseconds.
type trafficView struct {
	Name          string         `json:"name"`
	Doc           string         `json:"doc"`
	Weights       map[string]int `json:"weights"`
	Rate          float64        `json:"rate,omitempty"`
	Clients       int            `json:"clients,omitempty"`
	PerMember     int            `json:"perMember,omitempty"`
	Keys          int            `json:"keys,omitempty"`
	Watchers      int            `json:"watchers,omitempty"`
	SlowWatchers  int            `json:"slowWatchers,omitempty"`
	CompactEvery  int64          `json:"compactEveryMs,omitempty"`
	HashEvery     int64          `json:"hashEveryMs,omitempty"`
	DefragEvery   int64          `json:"defragEveryMs,omitempty"`
	SnapshotEvery int64          `json:"snapshotEveryMs,omitempty"`
	Auth          bool           `json:"auth,omitempty"`
}

func viewTraffic(p traffic.Profile) trafficView {
	return trafficView{
		Name: p.Name, Doc: p.Doc, Weights: p.Mix, Rate: p.Rate, Clients: p.Clients, PerMember: p.PerMember, Keys: p.Keys,
		Watchers: p.Watchers, SlowWatchers: p.SlowWatchers, CompactEvery: p.CompactEvery.Milliseconds(), HashEvery: p.HashEvery.Milliseconds(),
		DefragEvery: p.DefragEvery.Milliseconds(), SnapshotEvery: p.SnapshotEvery.Milliseconds(), Auth: p.Auth,
	}
}

func newTraffic() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "traffic [NAME]",
		Short: "List the profiles of the load, or show one as a scenario file has it",
		Args:  cobra.MaximumNArgs(1),
	}
	o := addOutput(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		profiles := traffic.Profiles()
		if len(args) == 1 {
			p, err := traffic.Find(args[0])
			if err != nil {
				return withCode(codeUsage, err)
			}
			if !o.json() {
				return showTraffic(o.out, p)
			}
			profiles = []traffic.Profile{p}
		}
		if o.json() {
			var views []trafficView
			for _, p := range profiles {
				views = append(views, viewTraffic(p))
			}
			return o.object(struct {
				Traffic []trafficView `json:"traffic"`
			}{views})
		}
		w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
		for _, p := range profiles {
			fmt.Fprintf(w, "%s\t%s\n", p.Name, p.Doc)
		}
		return w.Flush()
	}
	return cmd
}

// showTraffic writes a profile as the traffic of a scenario file, and what each
// operation is.
func showTraffic(w io.Writer, p traffic.Profile) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\ntraffic:\n  profile: %s\n", p.Doc, p.Name)
	for _, n := range []struct {
		name string
		n    int64
	}{
		{"rate", int64(p.Rate)}, {"clients", int64(p.Clients)}, {"perMember", int64(p.PerMember)}, {"keys", int64(p.Keys)},
		{"leases", int64(p.Leases)}, {"watchers", int64(p.Watchers)}, {"slowWatchers", int64(p.SlowWatchers)}, {"compactBehind", p.CompactBehind},
	} {
		if n.n != 0 {
			fmt.Fprintf(&b, "  %s: %d\n", n.name, n.n)
		}
	}
	for _, every := range []struct {
		name string
		d    time.Duration
	}{
		{"compactEvery", p.CompactEvery}, {"hashEvery", p.HashEvery}, {"defragEvery", p.DefragEvery},
		{"snapshotEvery", p.SnapshotEvery}, {"authEvery", p.AuthEvery},
	} {
		if every.d != 0 {
			fmt.Fprintf(&b, "  %s: %v\n", every.name, every.d)
		}
	}
	if p.CompactDeletes {
		b.WriteString("  compactDeletes: true\n")
	}
	if p.Auth {
		b.WriteString("  auth: true\n")
	}
	if len(p.LeaseTTLs) > 0 {
		fmt.Fprintf(&b, "  leaseTTLs: [%s]\n", strings.Trim(strings.ReplaceAll(fmt.Sprint(p.LeaseTTLs), " ", ", "), "[]"))
	}
	if len(p.Sizes) > 0 {
		var sizes []string
		for _, s := range p.Sizes {
			sizes = append(sizes, fmt.Sprintf("%d: %d", s.Bytes, s.Weight))
		}
		fmt.Fprintf(&b, "  sizes: {%s}\n", strings.Join(sizes, ", "))
	}
	if len(p.WatchFrom) > 0 {
		var from []string
		for _, s := range traffic.WatchStarts() {
			if w := p.WatchFrom[s.Name]; w > 0 {
				from = append(from, fmt.Sprintf("%s: %d", s.Name, w))
			}
		}
		fmt.Fprintf(&b, "  watchFrom: {%s}\n", strings.Join(from, ", "))
	}
	b.WriteString("  weights:\n")
	docs := map[string]string{}
	for _, op := range traffic.Operations() {
		docs[op.Name] = op.Doc
	}
	names := slices.SortedFunc(maps.Keys(p.Mix), func(a, b string) int {
		if p.Mix[a] != p.Mix[b] {
			return p.Mix[b] - p.Mix[a]
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		fmt.Fprintf(&b, "    %-22s # %s\n", fmt.Sprintf("%s: %d", name, p.Mix[name]), docs[name])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

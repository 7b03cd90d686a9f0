package report

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

func hex(n uint64) string { return strconv.FormatUint(n, 16) }

func bytesOf(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// subtitle is the run in a few words each.
func subtitle(d Data) []string {
	parts := []string{"etcd " + line(cmp.Or(d.Verdict.Etcd, d.Run.Etcd))}
	if n := len(d.Run.Members); n > 0 {
		parts = append(parts, counted(n, "member", "members"))
	}
	if p := cmp.Or(d.Verdict.Provider, d.Run.Provider); p != "" {
		parts = append(parts, "provider "+line(p))
	}
	if d.Run.FS != "" {
		parts = append(parts, line(d.Run.FS))
	}
	parts = append(parts, "seed "+strconv.FormatUint(cmp.Or(d.Verdict.Seed, d.Run.Seed), 10))
	if t := began(d.Run.Wall); t != "" {
		parts = append(parts, t)
	}
	return parts
}

// began is the run's wall clock to the second.
func began(wall string) string {
	t, err := time.Parse(time.RFC3339Nano, wall)
	if err != nil {
		return line(wall)
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// stats are the figures that say how much was tried.
func stats(d Data) []fact {
	all := rounds(d.Events)
	out := []fact{{"operations", number(max(d.Load.Operations, d.Verdict.Operations))}}
	if d.Load.Operations > 0 {
		out = append(out, fact{"acknowledged writes", number(d.Load.Writes)})
	}
	out = append(out, fact{"faults that took effect", number(d.Verdict.Faults)})
	var dropped, torn, cuts int
	var perSecond []float64
	var recovery []int64
	for _, r := range all {
		cuts += len(r.Cuts)
		dropped += r.Figures.Dropped
		torn += r.Figures.Torn
		if r.Ended {
			perSecond = append(perSecond, r.Figures.PerSecond)
		}
		if r.Figures.RecoveryNS > 0 && len(r.Missing) == 0 {
			recovery = append(recovery, r.Figures.RecoveryNS)
		}
	}
	if cuts > 0 {
		out = append(out, fact{"disk writes dropped", number(dropped)}, fact{"disk writes torn", number(torn)})
	}
	if m, _ := middle(perSecond); m > 0 {
		out = append(out, fact{"median operations/s", rate(m)})
	}
	if m, _ := middle(recovery); m > 0 {
		out = append(out, fact{"median recovery", duration(m)})
	}
	return out
}

// facts say what was run, on what; what the run does not tell is left out.
func facts(d Data) []fact {
	r, v := d.Run, d.Verdict
	load := ""
	if r.Clients > 0 {
		load = counted(r.Clients, "client", "clients") + ", saturated"
		if r.Rate > 0 {
			load = counted(r.Clients, "client", "clients") + ", " + rate(r.Rate) + " operations/s"
		}
	}
	if r.Traffic != "" && load != "" {
		load = line(r.Traffic) + ": " + load
	}
	fault := line(r.Fault)
	if r.Target != "" {
		fault += " of " + line(r.Target)
	}
	if r.Policy != "" && strings.Contains(r.Fault, "power-loss") {
		fault += ", cut policy " + line(r.Policy)
	}
	disk := line(r.FS)
	if disk != "" && r.Profile != "" {
		disk += ", profile " + line(r.Profile)
	}
	base := ""
	if r.Base.Revision != 0 {
		base = "revision " + number(r.Base.Revision)
		if r.Base.CompactRevision != 0 {
			base += ", compacted at " + number(r.Base.CompactRevision)
		}
	}
	length := ""
	if a := extent(d); a.to-a.from > 1e6 {
		length = duration(a.to - a.from)
	}
	planned := ""
	if r.Rounds > 0 {
		planned = number(r.Rounds)
	}
	var out []fact
	for _, f := range []fact{
		{"run", line(cmp.Or(v.Run, r.ID))},
		{"began", began(r.Wall)},
		{"lasted", length},
		{"etcd", line(cmp.Or(v.Etcd, r.Etcd))},
		{"binary", line(r.Binary)},
		{"lab", line(r.Lab)},
		{"provider", line(cmp.Or(v.Provider, r.Provider))},
		{"disk", disk},
		{"fault", fault},
		{"rounds asked for", planned},
		{"seed", strconv.FormatUint(cmp.Or(v.Seed, r.Seed), 10)},
		{"load", load},
		{"key prefix", line(r.Prefix)},
		{"store at the start", base},
		{"kernel", line(r.Kernel)},
		{"etcdlab", line(r.Tool)},
	} {
		if f.Value != "" {
			out = append(out, f)
		}
	}
	return out
}

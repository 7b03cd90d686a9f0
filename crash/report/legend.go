package report

type legend struct{ Class, Shape, Text string }

// legend explains the states and marks that occur.
func (t *timeline) legend() []legend {
	seen := map[string]bool{}
	for _, l := range t.Lanes {
		for _, s := range l.Spans {
			seen[s.Class] = true
		}
		for _, s := range l.Shares {
			seen[s.Class] = true
		}
		for _, m := range l.Marks {
			seen[m.Class] = true
		}
	}
	for _, m := range t.Signs {
		seen[m.Class] = true
	}
	var out []legend
	for i, class := range stateClasses {
		if seen[class] {
			out = append(out, legend{Class: class, Text: stateNames[i]})
		}
	}
	for _, m := range []legend{
		{Class: "cut", Text: "power cut"},
		{Class: "killed", Text: "SIGKILL"},
		{Class: "exited", Text: "etcd ended by itself"},
		{Class: "fault", Text: "fault"},
		{Class: "healed", Text: "healed"},
		{Class: "finding", Text: "evidence of a check"},
	} {
		if seen[m.Class] {
			m.Shape = shapes[m.Class]
			out = append(out, m)
		}
	}
	if t.Unknown {
		out = append(out, legend{Class: "unknown", Text: "unanswered"})
	}
	if t.Failed {
		out = append(out, legend{Class: "failed", Text: "refused"})
	}
	return out
}

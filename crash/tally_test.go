package crash

import (
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
)

func TestTally(t *testing.T) {
	in := func(fault string, observed, recovered bool, skipped string) history.Injection {
		return history.Injection{Fault: fault, Observed: observed, Recovered: recovered, Skipped: skipped}
	}
	got := TallyOf([]history.Figures{
		{Faults: []history.Injection{in("kill", true, true, ""), in("power-loss", true, true, ""), in("io-error", false, true, "")}},
		{Faults: []history.Injection{in("kill", true, false, ""), in("host-crash", false, false, "no machine of its own")}},
		{Fault: "none"},
		{Faults: []history.Injection{in("failpoint", true, true, "")}},
	}, 2*time.Second)
	if got.Faults != 5 || got.Verified != 3 || got.PerSecond != 1.5 || got.PerDay != 129600 || got.Groups["process"] != 1 || len(got.Groups) != 3 {
		t.Errorf("%+v", got)
	}
	if want := "3 of 5 faults seen to take effect and recovered from, in 2 s: 1.50 a second, 129600 a day (failpoint 33%, power 33%, process 33%)"; got.String() != want {
		t.Errorf("%s", got)
	}
	if none := TallyOf(nil, 0); none.Verified != 0 || none.String() == "" {
		t.Errorf("%+v", none)
	}
}

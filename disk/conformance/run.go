package conformance

import (
	"slices"
	"testing"
)

// test is one test of the suite. It shows every capability it needs.
type test struct {
	name  string
	needs []Capability
	run   func(testing.TB, *Front)
}

var tests = []test{
	{"ReadsBack", caps(CapReadWrite), readsBack},
	{"SyncedSurvives", caps(CapCut), syncedSurvives},
	{"UnsyncedIsLost", caps(CapCut, CapDrop), unsyncedIsLost},
	{"UnsyncedIsKept", caps(CapCut, CapKeep), unsyncedIsKept},
	{"PrefixSurvives", caps(CapCut, CapPrefix), prefixSurvives},
	{"CutCounts", caps(CapCut, CapCount), cutCounts},
	{"CutIsSilent", caps(CapCut), cutIsSilent},
	{"NoStaleCache", caps(CapCut, CapDrop), noStaleCache},
	{"FUASurvives", caps(CapCut, CapDrop, CapFUA), fuaSurvives},
	{"HeldFlushDoesNotCover", caps(CapCut, CapDrop, CapHold), heldFlushDoesNotCover},
	{"ReleasedFlushCovers", caps(CapCut, CapHold), releasedFlushCovers},
	{"HeldFlushKeepsNobodyWaiting", caps(CapHold, CapBeside), heldFlushKeepsNobodyWaiting},
	{"ParallelWritersReadBack", caps(CapParallel), parallelWritersReadBack},
	{"FailsFlush", caps(CapFailFlush), failsFlush},
	{"FailedFlushCoversNothing", caps(CapFailFlush, CapCut, CapDrop), failedFlushCoversNothing},
	{"FailsNth", caps(CapFailFlush, CapFailNth), failsNth},
	{"FailsRead", caps(CapFailRead), failsRead},
	{"FailsWrite", caps(CapFailWrite), failsWrite},
	{"FailsReadOfRange", caps(CapFailRead, CapFailRange), failsReadOfRange},
	{"FailsWriteOfRange", caps(CapFailWrite, CapFailRange), failsWriteOfRange},
	{"SlowAndStuck", caps(CapSlow), slowAndStuck},
	{"StuckUntilCut", caps(CapSlow, CapCut, CapDrop), stuckUntilCut},
	{"WritesGoWrong", caps(CapLie), writesGoWrong},
	{"FlushLies", caps(CapLie, CapCut, CapDrop), flushLies},
	{"HoldsAtFlush", caps(CapHoldAt, CapCut, CapDrop), holdsAtFlush},
	{"HoldsAtWrite", caps(CapHoldAt, CapCut, CapDrop), holdsAtWrite},
	{"DiscardReadsZero", caps(CapDiscard), discardReadsZero},
	{"DiscardIsVolatile", caps(CapDiscard, CapCut, CapDrop), discardIsVolatile},
	{"ZeroesReadZero", caps(CapZeroes), zeroesReadZero},
	{"ZeroesAreVolatile", caps(CapZeroes, CapCut, CapDrop), zeroesAreVolatile},
	{"RandomStates", caps(CapCut, CapRandom), randomStates},
	{"TornStates", caps(CapCut, CapTorn), tornStates},
	{"LogReplays", caps(CapLog), logReplays},
}

func caps(c ...Capability) []Capability { return c }

// Run runs the suite, each test on a disk of its own, and returns what came of
// each capability. The name is the front's, such as "nbd"; the report of one
// without a name is not written.
func Run(t *testing.T, name string, make Factory) *Report {
	t.Helper()
	r := newReport(name)
	for _, tt := range tests {
		ran := false
		t.Run(tt.name, func(t *testing.T) {
			ran = true
			f := make(t)
			t.Cleanup(func() { r.note(f, tt, t.Failed()) })
			if missing := slices.IndexFunc(tt.needs, func(c Capability) bool { return !f.has(c) }); missing >= 0 {
				t.Skipf("missing: %s: %s", tt.needs[missing], f.Lacks[tt.needs[missing]])
			}
			tt.run(t, f)
		})
		r.filtered = r.filtered || !ran
	}
	if !r.filtered {
		r.check(t)
		r.write(t)
	}
	return r
}

package main

// rows are what the tools before us do, row by row: the cases of etcd's
// functional tester (tests/functional, rpcpb.Case, until 2023), the failpoints of
// its robustness tests (tests/robustness/failpoint), and the nemeses and
// workloads of Jepsen's etcd suite.
func rows() (all []string) {
	functional := func(names ...string) {
		for _, n := range names {
			all = append(all, "functional tester: "+n)
		}
	}
	until := "_UNTIL_TRIGGER_SNAPSHOT"
	for _, who := range []string{"ONE_FOLLOWER", "LEADER"} {
		functional("SIGTERM_"+who, "SIGTERM_"+who+until, "SIGQUIT_AND_REMOVE_"+who, "SIGQUIT_AND_REMOVE_"+who+until)
	}
	functional("SIGTERM_QUORUM", "SIGTERM_ALL", "SIGQUIT_AND_REMOVE_QUORUM_AND_RESTORE_LEADER_SNAPSHOT_FROM_SCRATCH")
	for _, what := range []string{"BLACKHOLE_PEER_PORT_TX_RX_", "DELAY_PEER_PORT_TX_RX_", "RANDOM_DELAY_PEER_PORT_TX_RX_"} {
		functional(what+"ONE_FOLLOWER", what+"ONE_FOLLOWER"+until, what+"LEADER", what+"LEADER"+until, what+"QUORUM", what+"ALL")
	}
	functional("NO_FAIL_WITH_STRESS", "NO_FAIL_WITH_NO_STRESS_FOR_LIVENESS", "FAILPOINTS", "FAILPOINTS_WITH_DISK_IO_LATENCY", "EXTERNAL")

	for _, p := range []string{
		"beforeCommit", "afterCommit", "raftBeforeSave", "raftAfterSave", "raftBeforeSaveSnap", "raftAfterSaveSnap", "raftBeforeApplySnap",
		"raftAfterApplySnap", "raftAfterWALRelease", "raftBeforeLeaderSend", "raftBeforeFollowerSend", "defragBeforeCopy", "defragBeforeRename",
		"commitBeforePreCommitHook", "commitAfterPreCommitHook", "beforeStartDBTxn", "afterStartDBTxn", "beforeWritebackBuf", "afterWritebackBuf",
		"compactBeforeCommitScheduledCompact", "compactAfterCommitScheduledCompact", "compactBeforeSetFinishedCompact", "compactAfterSetFinishedCompact",
		"compactBeforeCommitBatch", "compactAfterCommitBatch", "applyBeforeOpenSnapshot",
	} {
		all = append(all, "robustness: panic at "+p)
	}
	for _, p := range []string{"raftBeforeSave", "raftAfterSave", "beforeSendWatchResponse", "beforeSyncWatchers", "beforeMoveVictims", "beforeProgressIfSync", "beforeApplyOneConfChange"} {
		all = append(all, "robustness: sleep at "+p)
	}
	for _, n := range []string{"kill", "blackhole of peer traffic", "blackhole until a snapshot is needed", "delay of peer traffic", "drop of peer traffic", "replace a member", "downgrade", "downgrade and upgrade"} {
		all = append(all, "robustness: "+n)
	}
	for _, n := range []string{
		"pause", "kill", "partition primaries", "partition majority", "partition ring", "clock", "member", "admin (compaction, defragmentation)",
		"bitflip-wal", "bitflip-snap", "truncate-wal", "lazyfs", "workloads append and wr", "workloads register and set", "workloads lock and lock-set", "workload watch",
	} {
		all = append(all, "Jepsen: "+n)
	}
	return all
}

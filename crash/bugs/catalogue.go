package bugs

import "regexp"

func sign(check, text string) Sign { return Sign{check, regexp.MustCompile(text)} }

func issue(id string) string { return "https://github.com/etcd-io/etcd/issues/" + id }
func pull(id string) string  { return "https://github.com/etcd-io/etcd/pull/" + id }

// catalogue is sorted by number.
var catalogue = []Bug{
	{
		ID: "13766", Link: issue("13766"), Bad: "v3.5.2", Good: "v3.5.3", In: []Range{{"v3.5.0", "v3.5.3"}},
		Title: "the consistent index moves before the entry is applied: killed in between, a member never applies it",
		Look:  "after a kill under load, members differ: a write is missing on one of them, revisions and hashes disagree",
		Signs: []Sign{
			sign("durability", `is not in the store (of m\S+ )?after recovery`),
			sign("member-hash", `answered the KV hash|revision \d+ differs|is at revision \d+ after`),
			sign("order", `was acknowledged to two writes`),
		},
	},
	{
		ID: "14370", Link: issue("14370"), Bad: "v3.5.4", Good: "v3.5.5", In: []Range{{"v3.5.0", "v3.5.5"}},
		Title: "a single member acknowledges writes before they are in its log",
		Look:  "a panic at raftBeforeSave, a kill or a power loss of a lab of one member loses acknowledged writes",
		Signs: []Sign{sign("durability", `is not in the store after recovery`)},
	},
	{
		ID: "14429", Link: pull("14429"), Bad: "v3.5.4", Good: "v3.5.5", In: []Range{{"v3.5.0", "v3.5.5"}}, Operation: "alarms",
		Title: "requests that do not write leave the consistent index behind the snapshots",
		Look:  "with a small snapshot-count, alarms listed often, a killed member does not start: it misses the database of a snapshot",
		Signs: []Sign{
			sign("recovery", `never served again .*failed to find database snapshot file`),
			sign("etcd-checks", `failed to recover v3 backend from snapshot`),
			sign("disk", `the log begins from the snapshot at entry \d+, but the db has only applied entry`),
		},
	},
	{
		ID: "14685", Link: issue("14685"), Bad: "v3.5.5", Good: "v3.5.6", In: []Range{{"v3.5.5", "v3.5.6"}},
		Title: "a defragmentation commits writes without the consistent index: a member that dies in it applies entries twice",
		Look:  "after a panic at defragBeforeCopy, writes are in the store a second time and revisions are too high",
		Signs: []Sign{sign("durability", `is in the store a second time`)},
	},
	{
		ID: "15069", Link: pull("15069"), Bad: "v3.5.6", Good: "v3.5.7", In: []Range{{"v3.5.5", "v3.5.7"}},
		Title: "a record over the end of the last segment of the log that was written in part keeps a member from starting",
		Look:  "a power loss while such a record is written: the member gives up, its max entry size limit exceeded",
		Signs: []Sign{
			sign("etcd-checks", `max entry size limit exceeded`),
			sign("recovery", `max entry size limit exceeded`),
		},
	},
	{
		ID: "15220", Link: issue("15220"), Bad: "v3.5.7", Good: "v3.5.8", In: []Range{{"v3.5.0", "v3.5.8"}},
		Title: "a bookmark that was asked for comes ahead of events it says have come",
		Look:  "watches that ask for their progress while writes go on; no fault",
		Signs: []Sign{
			sign("watch", `^bookmarkable: `),
			// What was told after such a bookmark is resumed from too late.
			sign("watch", `^compaction: .* though it needed nothing below`),
		},
	},
	{
		ID: "18089", Link: issue("18089"), Bad: "v3.5.15", Good: "v3.5.16", In: []Range{{"v3.5.0", "v3.5.16"}},
		Title: "a compaction at a delete removes it: a watch from that revision is not told",
		Look:  "watches from just the revision of a compaction that was at a delete; no fault",
		Signs: []Sign{sign("watch", `^resumable: .* and never of .* a delete of `)},
	},
	{
		ID: "18667", Link: issue("18667"), Bad: "v3.6.14", Good: "v3.7.0", In: []Range{{"v3.5.0", "v3.7.0"}}, Operation: "txn-old",
		Title: "a transaction that reads at a compacted revision and puts is applied on some members only",
		Look:  "compaction beside transactions that read at an older revision and put: members differ; no fault",
		Signs: []Sign{
			sign("member-hash", `answered the KV hash|revision \d+ differs|is at revision \d+ after`),
			sign("order", `was acknowledged to two writes`),
			sign("durability", `is not in the store (of m\S+ )?after recovery`),
		},
	},
	{
		ID: "19179", Link: issue("19179"), Bad: "v3.5.17", Good: "v3.5.18", In: []Range{{"v3.5.16", "v3.5.18"}},
		Title: "a member that dies in a compaction at a delete forgets it: a watch from that revision is not told",
		Look:  "a panic at compactBeforeSetFinishedCompact with small batches, then watches from the revision of that compaction",
		Signs: []Sign{sign("watch", `^resumable: .* and never of .* a delete of `)},
	},
	{
		ID: "20221", Link: issue("20221"), Bad: "v3.6.1", Good: "v3.6.2", In: []Range{{"v3.5.0", "v3.5.22"}, {"v3.6.0", "v3.6.2"}},
		Title: "a watch from a revision to come is told of bookmarks, and after a reconnect of events, from before it",
		Look:  "watches from future revisions that ask for their progress; no fault",
		Signs: []Sign{sign("watch", `^start: .* was told of (a bookmark at )?revision `)},
	},
	{
		ID: "20271", Link: issue("20271"), Bad: "v3.5.22", Good: "v3.5.23", In: []Range{{"v3.5.0", "v3.5.23"}, {"v3.6.0", "v3.6.5"}},
		Title: "a defragmentation while a snapshot is applied puts the old db over the snapshot's",
		Look:  "a member that was sent a snapshot and defragments meanwhile has old contents, or a db that cannot be read, after a restart",
		Signs: []Sign{
			sign("durability", `is not in the store of m\S+ after recovery`),
			sign("member-hash", `answered the KV hash|revision \d+ differs|is at revision \d+ after`),
			sign("etcd-checks", `Page expected to be|failed to recover v3 backend from snapshot|found its data corrupt`),
		},
	},
}

package verify

import (
	"encoding/json"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
)

func leaseOnDisk(id, ttl int) map[string][]byte {
	return map[string][]byte{bigEndian(uint64(id)): message(1, id, 2, ttl)}
}

func peerOnDisk(id uint64, name string) []byte {
	b, _ := json.Marshal(map[string]any{"id": id, "name": name, "peerURLs": []string{"http://" + name}})
	return b
}

// memberMutants are differences between members, and what must be found in each.
var memberMutants = map[string]func(m *mutant, disk *[]diskRecord) want{
	"lease on two of three": func(m *mutant, disk *[]diskRecord) want {
		*disk = []diskRecord{{on: "m1 m3", where: "lease", what: leaseOnDisk(77, 5)}}
		return want{check: "members", member: "m2", text: "leases differ: m1 has 1 leases and m2 0, of which lease 4d is not on m2", only: true}
	},
	"lease with another TTL": func(m *mutant, disk *[]diskRecord) want {
		*disk = []diskRecord{{where: "lease", what: leaseOnDisk(77, 5)}, {on: "m3", where: "lease", what: leaseOnDisk(77, 6)}}
		return want{check: "members", member: "m3", text: "lease 4d has a TTL of 5 s on m1 and 6 s on m3", only: true}
	},
	"auth revision differs": func(m *mutant, disk *[]diskRecord) want {
		*disk = []diskRecord{{on: "m3", where: "auth", what: map[string][]byte{"authRevision": []byte(bigEndian(4))}}}
		return want{check: "members", member: "m3", text: "the auth revision is 0 on m1 and 4 on m3", only: true}
	},
	"auth on at one": func(m *mutant, disk *[]diskRecord) want {
		*disk = []diskRecord{{on: "m1", where: "auth", what: map[string][]byte{"authEnabled": {1}}}}
		return want{check: "members", member: "m2", text: "authentication is on on m1 and off on m2", only: true}
	},
	"membership differs": func(m *mutant, disk *[]diskRecord) want {
		*disk = []diskRecord{{on: "m2", where: "members", what: map[string][]byte{"7": peerOnDisk(7, "m7")}}}
		return want{check: "members", member: "m2", text: "membership differ: m1 knows the members [], and m2 [7 m7 at http://m7]", only: true}
	},
	"removed at one": func(m *mutant, disk *[]diskRecord) want {
		*disk = []diskRecord{{on: "m2", where: "members_removed", what: map[string][]byte{"7": []byte("removed")}}}
		return want{check: "members", member: "m2", text: "members that were removed", only: true}
	},
	"cluster version differs": func(m *mutant, disk *[]diskRecord) want {
		*disk = []diskRecord{{on: "m2", where: "cluster", what: map[string][]byte{"clusterVersion": []byte("3.6.0")}}}
		return want{check: "members", member: "m2", text: `m2 at "3.6.0"`, only: true}
	},
	"alarm at one": func(m *mutant, disk *[]diskRecord) want {
		m.Meta.Members[0].Args = []string{"--quota-backend-bytes=10000000"}
		*disk = []diskRecord{{on: "m2", where: "alarm", what: map[string][]byte{string(message(1, 9, 2, 1)): {}}}}
		return want{check: "members", member: "m2", text: "m2 [NOSPACE on member 9]", only: true}
	},
	"member lists differ": func(m *mutant, disk *[]diskRecord) want {
		m.asks("m1", history.KindMembers, "", history.Call{List: []string{"1 m1 voter http://a", "2 m2 voter http://b"}})
		o := m.asks("m2", history.KindMembers, "", history.Call{List: []string{"1 m1 voter http://a"}})
		return want{check: "members", op: o.ID, member: "m2", text: "though nobody changed the membership", only: true}
	},
	"hash differs during the run": func(m *mutant, disk *[]diskRecord) want {
		m.asks("m1", history.KindHash, "", history.Call{Revision: m.head() - 5, CompactRevision: -1, Hash: 7})
		o := m.asks("m3", history.KindHash, "", history.Call{Revision: m.head() - 5, CompactRevision: -1, Hash: 8})
		return want{check: "member-hash", op: o.ID, rev: m.head() - 5, member: "m3", text: "m1 answered the KV hash 00000007 at", only: true}
	},
	"hash differs from the end": func(m *mutant, disk *[]diskRecord) want {
		o := m.asks("m3", history.KindHash, "", history.Call{CompactRevision: -1, Hash: 8})
		return want{check: "member-hash", op: o.ID, rev: m.head(), member: "m3", text: "at the end of the run and m3 00000008", only: true}
	},
	"a member's own hash changes": func(m *mutant, disk *[]diskRecord) want {
		m.asks("m1", history.KindHash, "", history.Call{Revision: 20, CompactRevision: 4, Hash: 7})
		o := m.asks("m1", history.KindHash, "", history.Call{Revision: 20, CompactRevision: 4, Hash: 8})
		return want{check: "member-hash", op: o.ID, rev: 20, member: "m1", text: "compacted at 4", only: true}
	},
	"corrupt, told to a client": func(m *mutant, disk *[]diskRecord) want {
		o := m.asks("m1", history.KindAlarms, "", history.Call{List: []string{"9 CORRUPT"}})
		_ = o
		return want{check: "etcd-checks", member: "m1", text: "with the alarm CORRUPT on member 9", only: true}
	},
	"corrupt, on a disk": func(m *mutant, disk *[]diskRecord) want {
		m.Meta.Members[0].Args = []string{"--quota-backend-bytes", "10000000"}
		*disk = []diskRecord{{where: "alarm", what: map[string][]byte{string(message(1, 9, 2, 2)): {}}}}
		return want{check: "etcd-checks", member: "m1", text: "the db of m1 holds the alarm CORRUPT on member 9", only: true}
	},
	"term that was answered in is lost": func(m *mutant, disk *[]diskRecord) want {
		m.asks("m3", history.KindStatus, "", history.Call{}).RaftTerm = 9
		return want{check: "disk", member: "m3", text: "m3: it answered in raft term 9, and the last hard state of its log is of term 4", only: true}
	},
	"term of the end is lost": func(m *mutant, disk *[]diskRecord) want {
		m.Final.Members[1].RaftTerm = 5
		return want{check: "disk", member: "m2", text: "it answered in raft term 5", only: true}
	},
	"db of a newer term than the log": func(m *mutant, disk *[]diskRecord) want {
		m.Members[0].Term = 5
		return want{check: "disk", member: "m1", text: "the db has applied an entry of term 5", only: true}
	},
	"no space without a reason": func(m *mutant, disk *[]diskRecord) want {
		m.Final.Members[1].Alarms = []string{"NOSPACE on member 9"}
		return want{check: "etcd-checks", member: "m2", text: "NOSPACE on member 9", only: true}
	},
}

func TestMemberMutants(t *testing.T) {
	for name, brk := range memberMutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMutant(t, 800)
			var disk []diskRecord
			w := brk(m, &disk)
			dir := write(t, m.Run)
			plantAll(t, dir, m, disk)
			w.test(t, judge(t, dir, nil))
		})
	}
}

// memberCases must not fail.
var memberCases = map[string]func(m *mutant, disk *[]diskRecord) want{
	"all equal": func(m *mutant, disk *[]diskRecord) want {
		*disk = []diskRecord{{where: "lease", what: leaseOnDisk(77, 5)}, {where: "members", what: map[string][]byte{"7": peerOnDisk(7, "m7")}}}
		for range 2 {
			m.asks("m1", history.KindMembers, "", history.Call{List: []string{"7 m7 voter http://m7"}})
			m.asks("m2", history.KindHash, "", history.Call{Revision: 30, CompactRevision: 4, Hash: 7})
		}
		return want{result: Pass}
	},
	"hashes of other states": func(m *mutant, disk *[]diskRecord) want {
		m.asks("m1", history.KindHash, "", history.Call{Revision: 30, CompactRevision: 4, Hash: 7})
		m.asks("m2", history.KindHash, "", history.Call{Revision: 30, CompactRevision: 5, Hash: 8})
		m.asks("m2", history.KindHash, "", history.Call{Revision: 31, CompactRevision: 4, Hash: 9})
		return want{result: Pass}
	},
	"leases after other entries": func(m *mutant, disk *[]diskRecord) want {
		m.Members[2].ConsistentIndex--
		*disk = []diskRecord{{on: "m1 m2", where: "lease", what: leaseOnDisk(77, 5)}}
		return want{check: "members", result: Inconclusive, text: "m3 has no other member to be compared with at its entry: leases of m1 after entry"}
	},
	"equal after other entries": func(m *mutant, disk *[]diskRecord) want {
		m.Members[2].ConsistentIndex--
		return want{result: Pass}
	},
	"one store": func(m *mutant, disk *[]diskRecord) want {
		m.Members[1].NoData, m.Members[2].NoData = true, true
		return want{check: "members", result: Inconclusive, text: "the stores of only 1 of 3 members can be read"}
	},
	"membership changed by others": func(m *mutant, disk *[]diskRecord) want {
		*disk = []diskRecord{{where: "members_removed", what: map[string][]byte{"7": []byte("removed")}}}
		m.asks("m1", history.KindMembers, "", history.Call{List: []string{"a"}})
		m.asks("m1", history.KindMembers, "", history.Call{List: []string{"b"}})
		return want{check: "members", result: Inconclusive, text: "the membership changed during the run"}
	},
	"no space as the run wants it": func(m *mutant, disk *[]diskRecord) want {
		m.Meta.Members[0].Args = []string{"etcd", "--quota-backend-bytes=10000000"}
		m.Final.Members[1].Alarms = []string{"NOSPACE on member 9"}
		*disk = []diskRecord{{where: "alarm", what: map[string][]byte{string(message(1, 9, 2, 1)): {}}}}
		m.asks("m1", history.KindAlarms, "", history.Call{List: []string{"9 NOSPACE"}})
		return want{result: Pass}
	},
	"no space after growth": func(m *mutant, disk *[]diskRecord) want {
		m.asks("m2", history.KindStatus, "", history.Call{Size: 2 << 30})
		m.Final.Members[1].Alarms = []string{"NOSPACE on member 9"}
		return want{result: Pass}
	},
}

func TestMemberCases(t *testing.T) {
	for name, brk := range memberCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMutant(t, 900)
			var disk []diskRecord
			w := brk(m, &disk)
			dir := write(t, m.Run)
			plantAll(t, dir, m, disk)
			v := judge(t, dir, nil)
			if w.result == Pass {
				if v.Verdict != Pass {
					t.Fatal(show(v))
				}
				return
			}
			w.test(t, v)
		})
	}
}

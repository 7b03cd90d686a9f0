package verify

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/verify/internal/rungen"
)

// segments are the paths of a member's WAL, in order.
func segments(t *testing.T, dir, member string) []string {
	paths, err := filepath.Glob(filepath.Join(history.Dir(dir).Data(member), "member", "wal", "*.wal"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	sort.Strings(paths)
	return paths
}

func edit(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(b), 0o644); err != nil {
		t.Fatal(err)
	}
}

func flip(at func(b []byte) int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at(b)] ^= 0x10
		return b
	}
}

// frames are the offsets of the records of a WAL segment.
func frames(b []byte) (at []int) {
	for pos := 0; pos+8 <= len(b); {
		head := binary.LittleEndian.Uint64(b[pos:])
		if head == 0 {
			break
		}
		at = append(at, pos)
		size := int(head &^ (0xff << 56))
		if int64(head) < 0 {
			size += int(head >> 56 & 7)
		}
		pos += 8 + size
	}
	return at
}

func db(dir, member string) string {
	return filepath.Join(history.Dir(dir).Data(member), "member", "snap", "db")
}

// leaf is the offset of a page of the db that holds keys of the key bucket.
func leaf(b []byte) int {
	const size, flags, isLeaf = 4096, 8, 0x02
	for pos := 2 * size; pos < len(b); pos += size {
		if binary.LittleEndian.Uint16(b[pos+flags:]) == isLeaf && bytes.Contains(b[pos:pos+size], []byte("/etcdlab/")) {
			return pos
		}
	}
	return -1
}

// damages are changes to the files of a run directory.
var damages = map[string]struct {
	do   func(t *testing.T, r *rungen.Run, dir string)
	want want
}{
	"db page of another type": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			edit(t, db(dir, "m2"), flip(func(b []byte) int { return leaf(b) + 8 }))
		}, want{check: "disk", member: "m2", text: "member/snap/db"},
	},
	"db page with another number": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			edit(t, db(dir, "m2"), flip(func(b []byte) int { return leaf(b) }))
		}, want{check: "disk", member: "m2"},
	},
	"db page with a wild offset": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			edit(t, db(dir, "m1"), func(b []byte) []byte {
				binary.LittleEndian.PutUint32(b[leaf(b)+16+4:], 0x7fffff00)
				return b
			})
		}, want{check: "disk", member: "m1"},
	},
	"db cut short": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			edit(t, db(dir, "m3"), func(b []byte) []byte { return b[:len(b)/2] })
		}, want{check: "disk", member: "m3"},
	},
	"db of zeroes": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			edit(t, db(dir, "m3"), func(b []byte) []byte { return make([]byte, len(b)) })
		}, want{check: "disk", member: "m3", only: true},
	},
	"byte of a value in the db": {
		func(t *testing.T, r *rungen.Run, dir string) {
			edit(t, db(dir, "m2"), flip(func(b []byte) int { return bytes.LastIndex(b, []byte("etcdlab-0123")) + 3 }))
		}, want{check: "member-hash", member: "m2"},
	},
	"WAL record in the middle": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			edit(t, segments(t, dir, "m1")[0], flip(func(b []byte) int { f := frames(b); return f[len(f)/2] + 20 }))
		}, want{check: "disk", member: "m1", text: "is damaged", only: true},
	},
	"WAL record in the last segment": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			s := segments(t, dir, "m1")
			edit(t, s[len(s)-1], flip(func(b []byte) int { f := frames(b); return f[len(f)/2] + 20 }))
		}, want{check: "disk", member: "m1", text: "is damaged", only: true},
	},
	"WAL length in the last segment": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			s := segments(t, dir, "m1")
			edit(t, s[len(s)-1], func(b []byte) []byte { f := frames(b); b[f[len(f)/2]+4] = 0x7f; return b })
		}, want{check: "disk", member: "m1", text: "the log goes on", only: false},
	},
	"WAL length of zero in the last segment": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			s := segments(t, dir, "m1")
			edit(t, s[len(s)-1], func(b []byte) []byte { f := frames(b); copy(b[f[len(f)/2]:], make([]byte, 8)); return b })
		}, want{check: "disk", member: "m1", text: "the log goes on"},
	},
	"WAL record of zeroes": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			s := segments(t, dir, "m1")
			edit(t, s[len(s)-1], func(b []byte) []byte {
				f := frames(b)
				i := len(f) / 2
				copy(b[f[i]+8:], make([]byte, f[i+1]-f[i]-8))
				return b
			})
		}, want{check: "disk", member: "m1", text: "the log goes on"},
	},
	"WAL segment missing": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			s := segments(t, dir, "m2")
			if len(s) < 3 {
				t.Fatal("too few segments")
			}
			if err := os.Remove(s[1]); err != nil {
				t.Fatal(err)
			}
		}, want{check: "disk", member: "m2", text: "is missing", only: true},
	},
	"last WAL segment missing": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			s := segments(t, dir, "m2")
			if err := os.Remove(s[len(s)-1]); err != nil {
				t.Fatal(err)
			}
		}, want{check: "disk", member: "m2", text: "but the log ends at entry", only: true},
	},
	"snapshot file": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			snaps, _ := filepath.Glob(filepath.Join(history.Dir(dir).Data("m3"), "member", "snap", "*.snap"))
			edit(t, snaps[0], flip(func(b []byte) int { return len(b) / 2 }))
		}, want{check: "disk", member: "m3", text: "is damaged", only: true},
	},
	"snapshot put aside": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			snaps, _ := filepath.Glob(filepath.Join(history.Dir(dir).Data("m3"), "member", "snap", "*.snap"))
			if err := os.Rename(snaps[0], snaps[0]+".broken"); err != nil {
				t.Fatal(err)
			}
		}, want{check: "disk", member: "m3", text: "put it aside", only: true},
	},
	"history byte": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			edit(t, filepath.Join(dir, history.FileOps), flip(func(b []byte) int { return len(b) / 2 }))
		}, want{check: "durability", result: Error, text: "history is corrupt at byte"},
	},
	"history cut in a frame": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			edit(t, filepath.Join(dir, history.FileOps), func(b []byte) []byte { return b[:len(b)/2] })
		}, want{check: "durability", result: Inconclusive, text: "the history ends early"},
	},
	"no history": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			if err := os.Remove(filepath.Join(dir, history.FileOps)); err != nil {
				t.Fatal(err)
			}
		}, want{check: "durability", result: Error, text: "no such file"},
	},
	"event line": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			edit(t, filepath.Join(dir, history.FileEvents), func(b []byte) []byte { b[0] = 'x'; return b })
		}, want{check: "recovery", result: Error, text: "line 1"},
	},
	"no final state": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			if err := os.Remove(filepath.Join(dir, history.FileFinal)); err != nil {
				t.Fatal(err)
			}
		}, want{check: "durability", result: Inconclusive},
	},
	"no log": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			if err := os.Remove(history.Dir(dir).Log("m2")); err != nil {
				t.Fatal(err)
			}
		}, want{check: "etcd-checks", result: Inconclusive, text: "m2"},
	},
	"data of a majority missing": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			for _, m := range []string{"m1", "m3"} {
				if err := os.RemoveAll(history.Dir(dir).Data(m)); err != nil {
					t.Fatal(err)
				}
			}
		}, want{check: "durability", result: Inconclusive, text: "only 1 of 3"},
	},
	"all data missing": {
		func(t *testing.T, _ *rungen.Run, dir string) {
			for _, m := range []string{"m1", "m2", "m3"} {
				if err := os.RemoveAll(history.Dir(dir).Data(m)); err != nil {
					t.Fatal(err)
				}
			}
		}, want{check: "order", result: Inconclusive, text: "no serving member's store"},
	},
}

// TestDamages flips and cuts files, and judges with a child process, which some
// of them kill.
func TestDamages(t *testing.T) {
	exe := child(t)
	for name, d := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rungen.Simulate(rungen.Options{Seed: 7, Ops: 3000})
			dir := write(t, r)
			d.do(t, r, dir)
			v := judge(t, dir, exe)
			d.want.test(t, v)
			if again := judge(t, dir, exe); show(again) != show(v) {
				t.Errorf("judged again:\n%s\n%s", show(v), show(again))
			}
			if strings.Contains(show(v), dir) {
				t.Errorf("the verdict names the directory\n%s", show(v))
			}
		})
	}
}

// TestTornTail cuts the log's last record as a crash does: that is no damage,
// neither when the write never came nor when it came in part.
func TestTornTail(t *testing.T) {
	for name, tear := range map[string]func(b []byte, last int) []byte{
		"file ends in it":  func(b []byte, last int) []byte { return b[:last+30] },
		"file ends before": func(b []byte, last int) []byte { return b[:last] },
		"length only":      func(b []byte, last int) []byte { copy(b[last+8:], make([]byte, len(b)-last-8)); return b },
		"zeroes instead":   func(b []byte, last int) []byte { copy(b[last:], make([]byte, len(b)-last)); return b },
	} {
		t.Run(name, func(t *testing.T) {
			r := rungen.Simulate(rungen.Options{Seed: 8, Ops: 3000})
			for _, m := range r.Members { // an entry that is not applied yet
				e := m.Entries[len(m.Entries)-1]
				e.Index++
				m.Entries = append(slices.Clip(m.Entries), e)
			}
			dir := write(t, r)
			s := segments(t, dir, "m1")
			edit(t, s[len(s)-1], func(b []byte) []byte { f := frames(b); return tear(b, f[len(f)-1]) })
			if v := judge(t, dir, nil); v.Verdict != Pass {
				t.Fatal(show(v))
			}
		})
	}
}

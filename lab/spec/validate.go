package spec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"
)

// OldestVersion is the first release whose failpoints build from the module
// proxy.
const OldestVersion = "v3.5.0"

// Names become parts of host names, cgroups, file names and network devices; a
// member's is short so that a device's 15 characters can hold a part of it.
const (
	maxLabName      = 32
	maxScenarioName = 64
	maxMemberName   = 16
)

// minSize is the smallest disk on which mkfs of the file system, and one WAL
// segment of etcd, succeed: mkfs.xfs refuses less than 300 MiB (xfsprogs 5.19)
// and mkfs.btrfs about 110 MiB.
var minSize = map[string]Size{"ext4": 64 << 20, "xfs": 300 << 20, "btrfs": 128 << 20}

// maxSize is the largest file ext4 holds, where the disk's image lives.
const maxSize = Size(16 << 40)

// diskAlign is the larger of the sector sizes that a profile may have.
const diskAlign = Size(4096)

// Validate checks a lab whose defaults are in, and whether what it says agrees
// with itself; whether this machine can make it is the provider's question. The
// problems are *Error values without a place, joined.
func (l *Lab) Validate() error { return joined(l.problems()) }

// problems are Validate's, in the order of the fields.
func (l *Lab) problems() []*Error {
	v := &validator{}
	if l.APIVersion != APIVersion {
		v.fail("apiVersion", "unknown apiVersion %q; this etcdlab reads %s", l.APIVersion, APIVersion)
	}
	if l.Kind != Kind {
		v.fail("kind", "unknown kind %q; a lab file has kind: %s", l.Kind, Kind)
	}
	v.say("name", badName("lab", l.Name, maxLabName))
	if l.Provider != "" {
		v.say("provider", oneOf("provider", l.Provider, Providers))
	}
	v.etcd("etcd", l.Etcd, l.Etcd)
	v.members(l)
	v.disk(l.Disk)
	v.say("network.subnet", badSubnet(l.Network.Subnet))
	v.machine(l.Machine)
	return v.problems
}

type validator struct{ problems []*Error }

func (v *validator) fail(path, format string, args ...any) {
	v.problems = append(v.problems, &Error{Path: path, Message: fmt.Sprintf(format, args...)})
}

// say reports a message unless it is empty.
func (v *validator) say(path, message string) {
	if message != "" {
		v.fail(path, "%s", message)
	}
}

func badName(what, name string, longest int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	switch {
	case name == "":
		return fmt.Sprintf("the %s has no name", what)
	case len(name) > longest:
		return fmt.Sprintf("%s name %q has %d characters; it may have %d", what, shorten(name), len(name), longest)
	case !isWord(name, letters) || name[0] == '-' || name[len(name)-1] == '-':
		return fmt.Sprintf("%s name %q: use lower-case letters, digits and, between them, dashes", what, name)
	}
	return ""
}

// etcd checks what own says at path; full is own over the lab's.
func (v *validator) etcd(path string, own, full Etcd) {
	v.say(path+".version", badVersion(own.Version))
	v.say(path+".source", badValue(own.Source))
	switch {
	case own.Version != "" && own.Source != "":
		v.fail(path+".source", "version and source are both set; an etcd comes from one of them")
	case full.Version == "" && full.Source == "":
		v.fail(path, "neither version nor source is set")
	}
	if full.BboltFailpoints && full.Failpoints != nil && !*full.Failpoints {
		v.fail(path+".bboltFailpoints", "bboltFailpoints needs failpoints: true; one binary has both")
	}
	for i, p := range own.Patches {
		if p == "" {
			v.fail(fmt.Sprintf("%s.patches[%d]", path, i), "a patch has no name")
		}
		v.say(fmt.Sprintf("%s.patches[%d]", path, i), badValue(p))
	}
	for _, flag := range slices.Sorted(maps.Keys(own.Args)) {
		v.say(path+".args."+flag, badFlag(flag, own.Args[flag]))
	}
	for _, name := range slices.Sorted(maps.Keys(own.Env)) {
		v.say(path+".env."+name, badEnv(name, own.Env[name]))
	}
	v.timers(path, own, full)
}

func badVersion(version string) string {
	switch {
	case version == "":
		return ""
	case semver.IsValid("v" + version):
		return fmt.Sprintf("%q is not a release of etcd, did you mean %q?", version, "v"+version)
	case !semver.IsValid(version) || semver.Canonical(version) != version:
		return fmt.Sprintf("%q is not a release of etcd; write one such as %s, or source: DIR for a local tree", shorten(version), DefaultVersion)
	case semver.Compare(version, OldestVersion) < 0 || semver.Major(version) != "v3":
		return fmt.Sprintf("etcd %s is not supported; %s is the first release that is, and v3 the last major one", version, OldestVersion)
	}
	return ""
}

// timers applies etcd's own rules (embed.Config.Validate): it would refuse to
// start.
func (v *validator) timers(path string, own, full Etcd) {
	_, ownBeat := own.Args[heartbeat]
	_, ownElection := own.Args[election]
	if !ownBeat && !ownElection {
		return
	}
	flag := election
	if !ownElection {
		flag = heartbeat
	}
	beat, okBeat := v.milliseconds(path, heartbeat, full, 100)
	timeout, okElection := v.milliseconds(path, election, full, 1000)
	switch {
	case !okBeat || !okElection:
	case timeout < 5*beat:
		v.fail(path+".args."+flag, "election-timeout %d is less than 5 times heartbeat-interval %d; etcd does not start with that", timeout, beat)
	case timeout > 50_000:
		v.fail(path+".args."+flag, "election-timeout %d is more than 50000 ms, the most etcd takes", timeout)
	}
}

func (v *validator) milliseconds(path, flag string, e Etcd, unset int) (int, bool) {
	s, ok := e.Args[flag]
	if !ok {
		return unset, true
	}
	n, err := strconv.Atoi(s)
	if err != nil || n <= 0 {
		v.fail(path+".args."+flag, "%s %q is not a number of milliseconds; write one such as 100", flag, shorten(s))
		return 0, false
	}
	return n, true
}

func (v *validator) members(l *Lab) {
	if n := len(l.Members); n < 1 || n > MaxMembers {
		v.fail("members", "%d members: a lab has 1 to %d", n, MaxMembers)
		return
	}
	seen := map[string]bool{}
	for i, m := range l.Members {
		path := fmt.Sprintf("members[%d]", i)
		v.say(path+".name", badName("member", m.Name, maxMemberName))
		if m.Name != "" && seen[m.Name] {
			v.fail(path+".name", "another member is named %q", m.Name)
		}
		seen[m.Name] = true
		if !m.Etcd.isZero() {
			v.etcd(path+".etcd", m.Etcd, l.Etcd.over(m.Etcd))
		}
	}
}

func (e Etcd) isZero() bool {
	return e.Version == "" && e.Source == "" && e.Failpoints == nil && !e.BboltFailpoints && len(e.Patches) == 0 && len(e.Args) == 0 && len(e.Env) == 0
}

func (v *validator) disk(d Disk) {
	if bad := oneOf("disk kind", d.Kind, DiskKinds); bad != "" {
		v.fail("disk.kind", "%s", bad)
		return
	}
	if d.Kind == "plain" {
		v.plain(d)
		return
	}
	if bad := oneOf("file system", d.FS, FSes); bad != "" {
		v.fail("disk.fs", "%s", bad)
	} else if d.Size < minSize[d.FS] {
		v.fail("disk.size", "size %s is too small for %s, which needs %s", d.Size, d.FS, minSize[d.FS])
	}
	switch {
	case d.Size > maxSize:
		v.fail("disk.size", "size %s is more than %s, the largest disk", d.Size, maxSize)
	case d.Size%diskAlign != 0:
		v.fail("disk.size", "size %s is not a multiple of %s", d.Size, diskAlign)
	}
	if d.Kind == "fault" {
		v.say("disk.profile", oneOf("disk profile", d.Profile, Profiles))
	} else if d.Profile != "" {
		v.fail("disk.profile", "only a disk of kind fault has a profile, not one of kind %s", d.Kind)
	}
}

// plain refuses what a directory cannot have instead of ignoring it.
func (v *validator) plain(d Disk) {
	var has []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"fs", d.FS != ""}, {"size", d.Size != 0}, {"profile", d.Profile != ""}, {"keepLog", d.KeepLog}} {
		if f.set {
			has = append(has, f.name)
		}
	}
	if has != nil {
		v.fail("disk."+has[0], "a disk of kind plain is a directory: it has no %s", strings.Join(has, ", "))
	}
}

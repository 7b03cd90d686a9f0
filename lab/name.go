package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/etcdlab/etcdlab/lab/spec"
)

// RunRoot holds a directory for every lab of this machine: sockets, mount
// points, the manifest. What is large is in StateRoot.
const RunRoot = "/run/etcdlab"

// maxName bounds the names of labs and members, in bytes: network namespaces,
// cgroups and socket paths (at most 107 bytes, unix(7)) carry both.
const maxName = 32

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// CheckName says what is wrong with the name of a lab or a member. A name has
// no dot, so that NetNS and ParseNetNS cannot be ambiguous.
func CheckName(what, name string) error {
	switch {
	case len(name) > maxName:
		return Misuse("%s name %q is longer than %d characters", what, name, maxName)
	case !nameForm.MatchString(name):
		return Misuse("%s name %q: use lower-case letters, digits and, inside, dashes", what, name)
	}
	return nil
}

// CheckMembers says what is wrong with the names of a lab and its members, or
// that a member has no binaries.
func CheckMembers(s *spec.Lab, images map[string]Binaries) error {
	if err := CheckName("lab", s.Name); err != nil {
		return err
	}
	if len(s.Members) == 0 {
		return fmt.Errorf("lab %s has no members", s.Name)
	}
	seen := map[string]bool{}
	for _, m := range s.Members {
		if err := CheckName("member", m.Name); err != nil {
			return err
		}
		if seen[m.Name] {
			return fmt.Errorf("two members of lab %s are called %s", s.Name, m.Name)
		}
		seen[m.Name] = true
		if images[m.Name].Etcd == "" {
			return fmt.Errorf("member %s of lab %s has no etcd binary", m.Name, s.Name)
		}
	}
	return nil
}

// RunDir is the lab's directory in RunRoot.
func RunDir(lab string) string { return filepath.Join(RunRoot, lab) }

// StateRoot holds the large and lasting files of every lab: disks, logs,
// certificates. It is $XDG_STATE_HOME/etcdlab/labs, by default below
// ~/.local/state.
func StateRoot() (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the state directory: %w (set XDG_STATE_HOME)", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	if !filepath.IsAbs(base) {
		return "", fmt.Errorf("XDG_STATE_HOME=%s is not an absolute path", base)
	}
	return filepath.Join(base, "etcdlab", "labs"), nil
}

// netnsPrefix marks the network namespaces that are ours.
const netnsPrefix = "etcdlab-"

// NetNS names the network namespace of a member, or, with member "", that of
// the lab's switch.
func NetNS(lab, member string) string {
	if member == "" {
		return netnsPrefix + lab
	}
	return netnsPrefix + lab + "." + member
}

// ParseNetNS is the inverse of NetNS.
func ParseNetNS(ns string) (lab, member string, ok bool) {
	rest, ok := strings.CutPrefix(ns, netnsPrefix)
	if !ok {
		return "", "", false
	}
	lab, member, _ = strings.Cut(rest, ".")
	if CheckName("lab", lab) != nil || (member != "" && CheckName("member", member) != nil) {
		return "", "", false
	}
	return lab, member, NetNS(lab, member) == ns
}

// CgroupRoot is the control group above all labs.
const CgroupRoot = "etcdlab"

// Cgroup is the path of the control group of the lab or, with more names, of a
// member, or of the member's "agent" or "etcd".
func Cgroup(lab string, below ...string) string {
	return filepath.Join(append([]string{CgroupRoot, lab}, below...)...)
}

// HostLink names the host's end of the lab's network, within Linux's 15
// bytes; its alias has the lab's name in full.
func HostLink(lab string) string {
	h := sha256.Sum256([]byte(lab))
	return "el" + hex.EncodeToString(h[:5])
}

// linkAlias marks the host's end as ours.
const linkAlias = "etcdlab lab="

// LinkAlias is the alias (ip link's "alias") of HostLink.
func LinkAlias(lab string) string { return linkAlias + lab }

// ParseLinkAlias is the inverse of LinkAlias.
func ParseLinkAlias(alias string) (lab string, ok bool) {
	lab, ok = strings.CutPrefix(alias, linkAlias)
	return lab, ok && CheckName("lab", lab) == nil
}

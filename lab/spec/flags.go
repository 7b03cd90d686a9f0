package spec

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// owned are the etcd flags that a lab sets itself, by prefix, with what to do
// instead. The names are those of `etcd --help`, v3.5 to v3.7.
var owned = []struct{ prefix, reason string }{
	{"name", "etcdlab names the members; use members[].name"},
	{"data-dir", "it is on the member's own disk"},
	{"wal-dir", "the WAL must be on the member's disk, which power loss cuts"},
	{"config-file", "it would replace the flags that etcdlab sets; use args"},
	{"listen-", "etcdlab gives each member its address"},
	{"advertise-", "etcdlab gives each member its address"},
	{"initial-", "etcdlab forms the cluster from members"},
	{"discovery", "etcdlab forms the cluster from members"},
	{"force-new-cluster", "a member would leave the cluster at each restart"},
	{"logger", "etcdlab reads the members' logs"},
	{"log-outputs", "etcdlab reads the members' logs"},
	{"log-format", "etcdlab reads the members' logs"},
	{"enable-log-rotation", "etcdlab keeps the members' logs"},
	{"log-rotation-config-json", "etcdlab keeps the members' logs"},
	{"cert-file", certificates},
	{"key-file", certificates},
	{"trusted-ca-file", certificates},
	{"client-cert-", certificates},
	{"client-key-file", certificates},
	{"client-crl-file", certificates},
	{"auto-tls", certificates},
	{"self-signed-cert-validity", certificates},
	{"peer-cert-", certificates},
	{"peer-key-file", certificates},
	{"peer-client-cert-", certificates},
	{"peer-client-key-file", certificates},
	{"peer-crl-file", certificates},
	{"peer-trusted-ca-file", certificates},
	{"peer-auto-tls", certificates},
}

const certificates = "etcdlab makes the lab's certificates; use tls: true"

// ownedFlag is why a lab may not set the flag, or "". A prefix that does not
// end in a dash is a whole name, except discovery, a family of flags.
func ownedFlag(flag string) string {
	for _, o := range owned {
		family := strings.HasSuffix(o.prefix, "-") || o.prefix == "discovery"
		if flag == o.prefix || family && strings.HasPrefix(flag, o.prefix) {
			return o.reason
		}
	}
	return ""
}

// badFlag is what is wrong with a flag of args, or "".
func badFlag(flag, value string) string {
	if bare := strings.TrimLeft(flag, "-"); bare != flag {
		return fmt.Sprintf("write the flag without dashes in front: %s", bare)
	}
	if !isWord(flag, "abcdefghijklmnopqrstuvwxyz0123456789.-") {
		return fmt.Sprintf("%q is not a flag of etcd", shorten(flag))
	}
	if reason := ownedFlag(flag); reason != "" {
		return fmt.Sprintf("etcdlab sets --%s itself: %s", flag, reason)
	}
	return badValue(value)
}

// badEnv is what is wrong with an environment variable, or "". etcd reads
// ETCD_DATA_DIR as --data-dir, and a flag wins over its variable.
func badEnv(name, value string) string {
	if !isWord(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") || name[0] >= '0' && name[0] <= '9' {
		return fmt.Sprintf("%q is not the name of an environment variable", shorten(name))
	}
	if name == "GOFAIL_HTTP" {
		return "etcdlab sets GOFAIL_HTTP itself: each member has a failpoint address"
	}
	if rest, ok := strings.CutPrefix(name, "ETCD_"); ok {
		flag := strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
		if reason := ownedFlag(flag); reason != "" {
			return fmt.Sprintf("etcdlab sets --%s itself: %s", flag, reason)
		}
		if flag == heartbeat || flag == election {
			return fmt.Sprintf("etcdlab sets --%s, which wins over the variable; use args", flag)
		}
	}
	return badValue(value)
}

func badValue(value string) string {
	if strings.ContainsFunc(value, unicode.IsControl) || !utf8.ValidString(value) {
		return "the value has a line break or another control character"
	}
	return ""
}

func isWord(s, letters string) bool { return s != "" && strings.Trim(s, letters) == "" }

package spec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Diff lists what differs, one setting a line, as "etcd.version: v3.7.3 ->
// v3.5.4"; "" when nothing does. Both labs should have their defaults in.
// Members are compared by name; their order means nothing.
func Diff(a, b *Lab) string {
	from, to := a.settings(), b.settings()
	paths := map[string]bool{}
	for p := range from {
		paths[p] = true
	}
	for p := range to {
		paths[p] = true
	}
	var lines []string
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if from[p] != to[p] {
			lines = append(lines, fmt.Sprintf("%s: %s -> %s", p, shown(from, p), shown(to, p)))
		}
	}
	return strings.Join(lines, "\n")
}

func shown(settings map[string]string, path string) string {
	if v, ok := settings[path]; ok {
		return v
	}
	return "(none)"
}

// settings is the lab as path and value; what is not set is absent.
func (l *Lab) settings() map[string]string {
	s := map[string]string{}
	put := func(path, value string) {
		if value != "" {
			s[path] = value
		}
	}
	put("apiVersion", l.APIVersion)
	put("kind", l.Kind)
	put("name", l.Name)
	put("provider", l.Provider)
	l.Etcd.settings("etcd", put)
	names := make([]string, len(l.Members))
	for i, m := range l.Members {
		names[i] = m.Name
		m.Etcd.settings("members."+m.Name+".etcd", put)
	}
	slices.Sort(names)
	put("members", strings.Join(names, ", "))
	put("disk.kind", l.Disk.Kind)
	put("disk.fs", l.Disk.FS)
	if l.Disk.Size != 0 {
		put("disk.size", l.Disk.Size.String())
	}
	put("disk.profile", l.Disk.Profile)
	put("disk.keepLog", strconv.FormatBool(l.Disk.KeepLog))
	put("network.subnet", l.Network.Subnet)
	l.Machine.settings(put)
	put("tls", strconv.FormatBool(l.TLS))
	return s
}

func (e Etcd) settings(path string, put func(path, value string)) {
	put(path+".version", e.Version)
	put(path+".source", e.Source)
	if e.Failpoints != nil {
		put(path+".failpoints", strconv.FormatBool(*e.Failpoints))
	}
	if e.BboltFailpoints {
		put(path+".bboltFailpoints", "true")
	}
	if len(e.Patches) > 0 {
		put(path+".patches", strings.Join(e.Patches, ", "))
	}
	for k, v := range e.Args {
		put(path+".args."+k, strconv.Quote(v))
	}
	for k, v := range e.Env {
		put(path+".env."+k, strconv.Quote(v))
	}
}

package guest

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/images"
	"github.com/etcdlab/etcdlab/internal/kmod"
)

// Where the agent and etcd's binaries are in a guest.
const (
	BinDir   = "/usr/bin"
	AgentBin = BinDir + "/etcdlab"
	// MemberDir is the agent's directory, whose files are the member's own: they
	// come in an archive of their own, appended to the initrd.
	MemberDir = "/etc/etcdlab"
)

const device = fs.ModeDevice | fs.ModeCharDevice

// contents are the files of the initramfs, sorted.
func contents(etcd images.Image, agent string, tools []images.File, modules *choice) []Entry {
	files := []Entry{
		// The kernel opens /dev/console before init can mount anything.
		{Name: "dev/console", Mode: device | 0o600, Major: 5, Minor: 1},
		{Name: "dev/null", Mode: device | 0o666, Major: 1, Minor: 3},
		{Name: "init", Mode: fs.ModeSymlink | 0o777, Data: []byte(strings.TrimPrefix(AgentBin, "/"))},
		// Not where the kernel looks for it by default: it would be run, and its
		// runtime started, for each of the modules that the kernel tries to load
		// before there is an init. That took longer than all the rest of a boot.
		{Name: kmod.Modprobe[1:], Mode: fs.ModeSymlink | 0o777, Data: []byte(path.Base(AgentBin))},
		{Name: "etc/passwd", Mode: 0o644, Data: []byte("root:x:0:0:root:/root:/bin/sh\n")},
		{Name: "etc/group", Mode: 0o644, Data: []byte("root:x:0:\n")},
		{Name: "etc/nsswitch.conf", Mode: 0o644, Data: []byte("hosts: files\n")},
		{Name: AgentBin[1:], Mode: 0o755, Path: agent},
	}
	for _, dir := range []string{"proc", "sys", "run", "tmp", "root", "mnt", "var/lib", MemberDir[1:]} {
		files = append(files, Entry{Name: dir, Mode: fs.ModeDir | 0o755})
	}
	for _, f := range tools {
		e := Entry{Name: strings.TrimPrefix(f.Name, "/"), Mode: f.Mode, Path: f.From}
		if f.Link != "" {
			e.Mode, e.Data = fs.ModeSymlink|0o777, []byte(f.Link)
		}
		files = append(files, e)
	}
	for name, file := range etcd.Binaries {
		files = append(files, Entry{Name: path.Join(BinDir[1:], name), Mode: 0o755, Path: file})
	}
	files = append(files, modules.entries()...)
	slices.SortFunc(files, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return files
}

// entries are the modules and their list.
func (c *choice) entries() []Entry {
	files := []Entry{{Name: kmod.ListFile[1:], Mode: 0o644, Data: c.list.Encode()}}
	for _, m := range c.list.Modules {
		name := path.Join(path.Dir(kmod.ListFile), m.File)
		files = append(files, Entry{Name: name[1:], Mode: 0o644, Data: c.data[m.Name]})
	}
	return files
}

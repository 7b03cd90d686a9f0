package fault

import (
	"fmt"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/lab"
)

// anyFile stands for the whole disk.
const anyFile = "any"

func fileParam(or string) Param {
	return Param{Name: "file", Doc: "whose: the newest WAL segment, the db, the newest snapshot, or any", Type: word(append([]string{anyFile}, lab.Files...)...), Default: or}
}

var (
	withinParam = Param{Name: "within", Doc: "how long etcd has to meet it", Type: duration(), Default: "10s"}
	shareParam  = Param{Name: "share", Doc: "of the operations, drawn at random", Type: percent(), Default: "100%"}
	countParam  = Param{Name: "count", Doc: "at most so many times; 0 is until healed", Type: count(0), Default: "1"}
	forceParam  = Param{Name: paramForce, Doc: "also where the targets are no minority, and etcd owes nothing", Type: word("no", "yes"), Default: "no"}
)

// file is the file that a fault is of, "" for the disk.
func (a Args) file() string {
	if f := a.Text("file"); f != anyFile {
		return f
	}
	return ""
}

// share is the share of a disk fault, where all is 0.
func (a Args) share() float64 {
	if x := a.Share("share"); x < 1 {
		return x
	}
	return 0
}

var diskKinds = []Kind{
	{
		Name: NameIOError, Group: GroupDisk,
		Doc: "operations of the targets' disks fail with EIO",
		Params: []Param{
			{Name: "io", Doc: "read, write or flush, with conditions, such as write,nth=3,count=1 or write,file=wal,for=2s", Type: text(func(s string) error { _, err := ParseDiskFault(s); return err }), Default: "flush,count=1"},
			{Name: "keep", Doc: "what the disk's cache keeps at the reboot that heals", Type: word(string(disk.Keep), string(disk.Drop)), Default: string(disk.Keep)},
		},
		New: func(a Args) (Fault, error) {
			f, err := ParseDiskFault(a.Text("io"))
			if err == nil && f.Action != "" && f.Action != disk.ActError {
				err = fmt.Errorf("its operations fail; what else a disk does wrong are faults of their own: slow-disk, stuck-disk, lost-write and others")
			}
			return &IOError{Disk: f, Policy: disk.Policy(a.Text("keep"))}, err
		},
	},
	{
		Name: "fsync-once", Group: GroupDisk,
		Doc:    "one fsync of etcd fails with EIO, and later ones succeed",
		Params: []Param{fileParam(lab.FileWAL)},
		New: func(a Args) (Fault, error) {
			return &IOError{Disk: disk.Fault{Op: disk.OpFlush, File: a.file(), Count: 1}}, nil
		},
	},
	{
		Name: "disk-full", Group: GroupDisk,
		Doc: "the targets' file systems have no space left, until healed",
		Params: []Param{
			{Name: "leave", Doc: "bytes that are left, and 0 none", Type: text(checkLeave), Default: "0"},
			{Name: "within", Doc: "how long etcd has to need some", Type: duration(), Default: "30s"},
		},
		New: func(a Args) (Fault, error) {
			leave, err := parseLeave(a.Text("leave"))
			return &DiskFull{Leave: leave, Within: a.Duration("within")}, err
		},
	},
	{
		Name: "slow-disk", Group: GroupDisk,
		Doc: "operations of the targets' disks take longer, until healed",
		Params: []Param{
			{Name: "op", Doc: "which", Type: word(string(disk.OpFlush), string(disk.OpWrite), string(disk.OpRead)), Default: string(disk.OpFlush)},
			{Name: "delay", Doc: "by how much, at most 1m", Type: text(checkDelay), Default: "100ms"},
			shareParam, fileParam(anyFile), withinParam,
		},
		New: func(a Args) (Fault, error) {
			return &DiskFault{Disk: disk.Fault{
				Op: disk.Operation(a.Text("op")), Action: disk.ActDelay, Delay: a.Duration("delay"), Share: a.share(), File: a.file(),
			}, Within: a.Duration("within")}, nil
		},
	},
	{
		Name: "stuck-disk", Group: GroupDisk,
		Doc: "operations of the targets' disks never end, until healed",
		Params: []Param{
			{Name: "op", Doc: "which", Type: word(string(disk.OpFlush), string(disk.OpWrite), string(disk.OpRead)), Default: string(disk.OpFlush)},
			fileParam(anyFile), withinParam,
		},
		New: func(a Args) (Fault, error) {
			return &DiskFault{Disk: disk.Fault{Op: disk.Operation(a.Text("op")), Action: disk.ActHang, File: a.file()}, Within: a.Duration("within")}, nil
		},
	},
	lying("lost-write", "a write of the targets' disks is acknowledged and never done", disk.OpWrite, disk.ActLose, disk.Keep),
	lying("torn-write", "a write is acknowledged of which only some sectors are done", disk.OpWrite, disk.ActTear, disk.Keep),
	lying("misdirected-write", "a write is acknowledged and done elsewhere on the disk", disk.OpWrite, disk.ActMisdirect, disk.Keep),
	lying("flipped-write", "one bit of a write is flipped on its way to the disk", disk.OpWrite, disk.ActFlip, disk.Keep),
	lying("lying-flush", "flushes are acknowledged and cover nothing, and a loss of power follows", disk.OpFlush, disk.ActLose, disk.Drop),
	damaging("bit-flip", "etcd is killed and one bit of a file of its data flipped before it starts again", lab.DamageFlip),
	damaging("truncate-file", "etcd is killed and the end of a file of its data cut off before it starts again", lab.DamageTruncate),
}

func lying(name, doc string, op disk.Operation, action disk.Action, keep disk.Policy) Kind {
	times := countParam
	if op == disk.OpFlush {
		times.Default = "0"
	}
	return Kind{
		Name: name, Group: GroupDisk, Doc: doc,
		Params: []Param{fileParam(lab.FileWAL), times, shareParam, withinParam, forceParam},
		New: func(a Args) (Fault, error) {
			f := disk.Fault{Op: op, Action: action, File: a.file(), Count: uint64(a.Count("count")), Share: a.share()}
			if action == disk.ActMisdirect {
				f.Shift = 1 << 20
			}
			return &DiskFault{Disk: f, Within: a.Duration("within"), Reboot: keep, Force: a.Text("force") == "yes"}, nil
		},
	}
}

func damaging(name, doc, kind string) Kind {
	return Kind{
		Name: name, Group: GroupDisk, Doc: doc,
		Params: []Param{
			{Name: "file", Doc: "the newest WAL segment, the db, or the newest snapshot", Type: word(lab.Files...), Default: lab.FileWAL},
			{Name: "within", Doc: "how long etcd has to refuse to start or to serve", Type: duration(), Default: "10s"},
			forceParam,
		},
		New: func(a Args) (Fault, error) {
			return &FileDamage{Damage: lab.Damage{File: a.Text("file"), Kind: kind}, Within: a.Duration("within"), Force: a.Text("force") == "yes"}, nil
		},
	}
}

func checkDelay(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration, such as 100ms", s)
	}
	return disk.CheckFault(disk.Fault{Op: disk.OpFlush, Action: disk.ActDelay, Delay: d})
}

func checkLeave(s string) error {
	_, err := parseLeave(s)
	return err
}

func parseLeave(s string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	_, length, err := parseRange("0+" + s)
	return length, err
}

package crash

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/dm"
	"github.com/etcdlab/etcdlab/lab"
)

// Turn is what one round does, where rounds differ.
type Turn struct {
	Fault  string // fault.Names
	Target string // see CheckTarget
}

// turns are what the rounds do, one after the other and again.
func (o Options) turns() []Turn { return append([]Turn{{o.Fault, o.Target}}, o.Then...) }

// faultNames is the faults of the run, in the order of their turns.
func (o Options) faultNames() string {
	var names []string
	for _, t := range o.turns() {
		if !slices.Contains(names, t.Fault) {
			names = append(names, t.Fault)
		}
	}
	return strings.Join(names, ",")
}

// cuts says whether a round cuts the power of disks.
func (o Options) cuts() bool {
	return slices.ContainsFunc(o.turns(), func(t Turn) bool { return t.Fault == "power-loss" })
}

// CheckDisk says what is wrong with the options for a lab whose disks are of that
// kind, before one is made.
func (o Options) CheckDisk(kind string) error {
	_, err := o.onDisk(kind)
	return err
}

// CheckProvider says what of the run no member of that provider can do, before a
// lab is made.
func (o Options) CheckProvider(name string) error {
	for _, t := range o.turns() {
		if t.Fault == "host-crash" && name != "vm" {
			return &lab.UnsupportedError{Member: "a member of provider " + name, Capability: "HostCrasher",
				Reason: "only a virtual machine can crash alone; use --provider vm"}
		}
	}
	return nil
}

// onDisk fits the options to the lab's disks: those of device mapper lose what
// comes after a cut and nothing else, and fail all operations of a kind or none.
func (o Options) onDisk(kind string) (Options, error) {
	if kind != "dm" {
		return o, nil
	}
	switch {
	case o.Policy == fault.Mixed || o.Policy == "":
		o.Policy = fault.Policy(disk.Drop)
	case o.cuts() && o.Policy != fault.Policy(disk.Drop):
		return o, lab.Misuse("cut policy %s: disks of kind dm keep nothing of the writes that a cut drops; use --cut drop, or --disk fault", o.Policy)
	}
	if o.IO == "" {
		o.IO = string(disk.OpWrite)
	}
	armed, err := fault.ParseDiskFault(o.IO)
	if err != nil {
		return o, err
	}
	if err := dm.CheckFault(armed); err != nil {
		return o, lab.Misuse("disk fault: %w; see docs/faults.md, or use --disk fault", err)
	}
	if o.Profile != "" {
		return o, lab.Misuse("disk profile %s: disks of kind dm have no profiles; use --disk fault", o.Profile)
	}
	o.afterError = disk.Drop
	return o, nil
}

// with are the parameters of a turn's fault in the nth round.
func (o Options) with(t Turn, n int) map[string]string {
	with := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			with[name] = value
		}
	}
	switch t.Fault {
	case fault.NamePowerLoss:
		set("cut", string(o.Policy))
	case fault.NameHostCrash:
		set("how", string(o.How))
	case fault.NameIOError:
		set("io", o.IO)
		set("keep", string(o.afterError))
	case fault.NameFailpoint:
		if len(o.Points) > 0 {
			set("point", o.Points[(n-1)%len(o.Points)])
		}
		if o.PointWithin > 0 {
			set("within", o.PointWithin.String())
		}
	}
	return with
}

// newTurns checks that the lab's members can be hit so.
func newTurns(o Options, l *lab.Lab) ([]Turn, error) {
	for _, t := range o.turns() {
		if err := CheckTarget(t.Target, l.Names()); err != nil {
			return nil, err
		}
		f, err := fault.Make(t.Fault, o.with(t, 1))
		if err != nil {
			return nil, err
		}
		for _, m := range l.Members {
			if err := f.Needs(m); err != nil {
				return nil, fmt.Errorf("%s: %w", t.Fault, err)
			}
		}
	}
	return o.turns(), nil
}

// turn is that of the nth round.
func (r *run) turn(n int) Turn { return r.turns[(n-1)%len(r.turns)] }

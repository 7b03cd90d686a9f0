package crash

import (
	"errors"
	"fmt"
	"strings"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/disk/dm"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// policies are the cut policies of the run's power losses; "" without any.
func (o Options) policies() string {
	values := schedule.Values(o.Schedule, fault.NamePowerLoss, "cut")
	for i, v := range values {
		values[i] = orElse(v, string(fault.Mixed))
	}
	return strings.Join(values, ",")
}

// CheckDisk says what is wrong with the options for a lab whose disks are of that
// kind, before one is made.
func (o Options) CheckDisk(kind string) error {
	_, err := o.onDisk(kind)
	return err
}

// CheckProvider says what of the run no member of that provider can do, before a
// lab is made.
func (o Options) CheckProvider(name string) (err error) {
	spec.Leaves(o.Schedule, func(s *spec.Step) {
		if s.Fault == fault.NameHostCrash && name != "vm" && !s.Optional {
			err = &lab.UnsupportedError{Member: "a member of provider " + name, Capability: "HostCrasher",
				Reason: "only a virtual machine can crash alone; use --provider vm"}
		}
	})
	return err
}

// onDisk fits the options to the lab's disks: those of device mapper lose what
// comes after a cut and nothing else, and fail all operations of a kind or none.
func (o Options) onDisk(kind string) (Options, error) {
	if kind != "dm" {
		return o, nil
	}
	o.Schedule = spec.CloneSteps(o.Schedule)
	var errs []error
	spec.Leaves(o.Schedule, func(s *spec.Step) {
		with := func(name, value string) {
			if s.With == nil {
				s.With = map[string]string{}
			}
			s.With[name] = value
		}
		switch s.Fault {
		case fault.NamePowerLoss:
			switch cut := s.With["cut"]; cut {
			case "", string(fault.Mixed), string(disk.Drop):
				with("cut", string(disk.Drop))
			default:
				errs = append(errs, lab.Misuse("cut policy %s: disks of kind dm keep nothing of the writes that a cut drops; use --cut drop, or --disk fault", cut))
			}
		case fault.NameIOError:
			if s.With["io"] == "" {
				with("io", string(disk.OpWrite))
			}
			armed, err := fault.ParseDiskFault(s.With["io"])
			if err == nil {
				err = dm.CheckFault(armed)
			}
			if err != nil {
				errs = append(errs, lab.Misuse("disk fault: %w; see docs/faults.md, or use --disk fault", err))
			}
			with("keep", string(disk.Drop))
		}
	})
	if len(errs) > 0 {
		return o, errs[0]
	}
	if o.Profile != "" {
		return o, lab.Misuse("disk profile %s: disks of kind dm have no profiles; use --disk fault", o.Profile)
	}
	return o, nil
}

// check says what of the schedule the lab cannot do.
func (o Options) check(l *lab.Lab) (err error) {
	if err := schedule.Check(o.Schedule, l.Names()); err != nil {
		return err
	}
	spec.Leaves(o.Schedule, func(s *spec.Step) {
		if s.Optional || err != nil {
			return
		}
		f, makeErr := fault.Make(s.Fault, s.With)
		err = makeErr
		for _, m := range l.Members {
			if err == nil {
				err = f.Needs(m)
			}
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", s.Fault, err)
		}
	})
	return err
}

// CheckSchedule says what is wrong with the schedule for a lab of these members.
func (o Options) CheckSchedule(members []string) error {
	err := schedule.Check(o.Schedule, members)
	// Of a schedule of one step, which nobody wrote down, the place says nothing.
	if s, ok := errors.AsType[*schedule.StepError](err); ok && len(o.Schedule) == 1 && o.Schedule[0].Fault != "" {
		if param, ok := strings.CutPrefix(s.Field, "with."); ok {
			return fmt.Errorf("%s of %s: %w", param, o.Schedule[0].Fault, s.Err)
		}
		return s.Err
	}
	return err
}

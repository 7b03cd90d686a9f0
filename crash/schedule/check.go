package schedule

import (
	"errors"
	"fmt"
	"slices"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// UntilSnapshot ends a fault when the others have compacted their raft logs past
// the targets, which then need a snapshot.
const UntilSnapshot = "snapshot"

// Conditions are what until may be.
var Conditions = []string{UntilSnapshot}

// StepError says which step of a schedule is wrong, and what of it.
type StepError struct {
	Path  string // such as [1].parallel[0], from the schedule
	Field string // such as with.cut; "" is the step
	Err   error
}

func (e *StepError) Error() string {
	at := "schedule" + e.Path
	if e.Field != "" {
		at += "." + e.Field
	}
	return at + ": " + e.Err.Error()
}

func (e *StepError) Unwrap() error { return e.Err }

// Check says what is wrong with a schedule for a lab of these members.
func Check(steps []spec.Step, members []string) error {
	if len(steps) == 0 {
		return errors.New("the schedule has no steps")
	}
	for i := range steps {
		if err := check(&steps[i], fmt.Sprintf("[%d]", i), members); err != nil {
			return err
		}
	}
	return nil
}

func check(s *spec.Step, path string, members []string) error {
	if s.Fault != "" {
		return checkFault(s, path, members)
	}
	for name, list := range map[string][]spec.Step{"sequence": s.Sequence, "parallel": s.Parallel, "random": s.Random} {
		for i := range list {
			at := fmt.Sprintf("%s.%s[%d]", path, name, i)
			if list[i].Weight != 0 && name != "random" {
				return &StepError{at, "weight", errors.New("only the steps of a random list have weights")}
			}
			if err := check(&list[i], at, members); err != nil {
				return err
			}
		}
	}
	return together(s.Parallel, path, members)
}

func checkFault(s *spec.Step, path string, members []string) error {
	fail := func(field string, err error) error { return &StepError{path, field, err} }
	k, err := fault.Find(s.Fault)
	if err != nil {
		return fail("fault", err)
	}
	if _, err := k.Make(s.With); err != nil {
		if p, ok := errors.AsType[*fault.ParamError](err); ok {
			return fail("with."+p.Param, p.Err)
		}
		return fail("with", err)
	}
	if err := CheckTarget(s.Target, members); err != nil {
		return fail("target", err)
	}
	if s.Until != "" && !slices.Contains(Conditions, s.Until) {
		return fail("until", fmt.Errorf("unknown condition %q%s", s.Until, spec.DidYouMean(s.Until, Conditions)))
	}
	n := len(members)
	switch down := size(target(s), n); {
	case n < k.Members:
		return fail("fault", fmt.Errorf("%s needs a lab of at least %d members, not %d", s.Fault, k.Members, n))
	case s.Until == UntilSnapshot && n-down < n/2+1:
		return fail("until", fmt.Errorf("with %d of %d members away the others are no quorum and take no snapshot: target leader, follower or minority", down, n))
	case s.Fault == fault.NameNone && (s.For != 0 || s.Until != ""):
		return fail("fault", errors.New("nothing is done, so nothing lasts: leave for and until out, and say run.duration"))
	}
	return nil
}

// together looks for parallel steps that cannot be under way on one member at
// the same time, and yet would begin at the same instant.
func together(list []spec.Step, path string, members []string) error {
	for i := range list {
		a := &list[i]
		if a.Fault == "" {
			continue
		}
		ka, _ := fault.Find(a.Fault)
		for j := range list[:i] {
			b := &list[j]
			if b.Fault == "" {
				continue
			}
			kb, _ := fault.Find(b.Fault)
			if ka.Beside || kb.Beside || a.After != b.After {
				continue
			}
			ta, tb := target(a), target(b)
			if ta == tb && (ta != Random && ta != Follower && ta != Minority) || size(ta, len(members))+size(tb, len(members)) > len(members) {
				return &StepError{fmt.Sprintf("%s.parallel[%d]", path, i), "",
					fmt.Errorf("%s of %s and %s of %s begin together and must hit a member at the same time, which only one of them can do: let one begin `after` the other, or choose other targets", b.Fault, tb, a.Fault, ta)}
			}
		}
	}
	return nil
}

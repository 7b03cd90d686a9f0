package crash

import (
	"errors"
	"fmt"
	"slices"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/schedule"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// FromFile is the scenario that a file describes. What a file in the short form
// does not say is as in the built-in scenario of its fault, if there is one.
func FromFile(file *spec.Scenario) (Scenario, error) {
	s, err := fromFile(file)
	if err != nil || file.Run.Schedule != nil {
		return s, err
	}
	like := file.Run.Fault
	if like == fault.NameNone {
		like = "healthy"
	}
	if same, err := FindScenario(like); err == nil {
		under(&s.Options, same.Options)
	}
	return s, nil
}

// under puts what another scenario says under what this one does not.
func under(o *Options, same Options) {
	if o.Schedule[0].Target == "" {
		o.Schedule[0].Target = same.Schedule[0].Target
	}
	if o.Rounds == 0 {
		o.Rounds = same.Rounds
	}
	if o.Duration == 0 {
		o.Duration = same.Duration
	}
	if o.Clients == 0 {
		o.Clients = same.Clients
	}
	if o.OpsBefore == 0 {
		o.OpsBefore = same.OpsBefore
	}
	if o.OpsAfter == 0 {
		o.OpsAfter = same.OpsAfter
	}
	if o.Traffic.Name == "" {
		o.Traffic = same.Traffic
	}
	if o.Schedule[0].Fault != fault.NameFailpoint {
		return
	}
	if s := o.Schedule[0]; s.With["point"] == "" {
		o.Schedule = spec.CloneSteps(same.Schedule)
		o.Schedule[0].Target = s.Target
	}
}

// fromFile is the scenario as the file says it.
func fromFile(file *spec.Scenario) (Scenario, error) {
	fail := func(field string, err error) (Scenario, error) {
		return Scenario{}, file.Problem("run."+field, err)
	}
	r := file.Run
	s := Scenario{Name: file.Name, Doc: file.Doc, Covers: file.Covers, Lab: &file.Lab, Options: Options{
		Scenario: file.Name, Schedule: r.Schedule, Rounds: r.Rounds, Every: r.Every, Profile: r.Profile,
		Duration: r.Duration, Budget: r.Budget, Clients: r.Clients, Rate: float64(r.Rate),
		OpsBefore: r.Before, OpsAfter: r.After, RecoverWithin: r.Recover, Checks: r.Checks,
	}}
	if r.Schedule == nil {
		var field string
		var err error
		if s.Options.Schedule, field, err = short(&r); err != nil {
			return fail(field, err)
		}
	} else if r.Fault != "" || r.Target != "" || r.Cut != "" || r.IO != "" || r.Host != "" || r.Points != nil {
		return fail("schedule", errors.New("fault, target, cut, io, host and points are the short form of a schedule of one step: say them in the schedule's steps"))
	}
	if r.Profile != "" && !slices.Contains(spec.Profiles, r.Profile) {
		return fail("profile", fmt.Errorf("unknown disk profile %q; the profiles are %v", r.Profile, spec.Profiles))
	}
	var err error
	if s.Options.Traffic, err = trafficOf(s.Options.Traffic, &r.Traffic); err != nil {
		var bad *trafficError
		if errors.As(err, &bad) {
			return fail(bad.field, bad.err)
		}
		return fail("traffic", err)
	}
	lab := file.Lab
	lab.Default()
	var names []string
	for _, m := range lab.Members {
		names = append(names, m.Name)
	}
	if err := schedule.Check(s.Options.Schedule, names); err != nil {
		field := "schedule"
		if at, ok := errors.AsType[*schedule.StepError](err); ok {
			field, err = fieldOf(&r, at), at.Err
		}
		return fail(field, err)
	}
	return s, nil
}

// short is the schedule of the short form; field says which one is wrong.
func short(r *spec.Run) (steps []spec.Step, field string, err error) {
	if r.Fault == "" {
		return nil, "fault", fmt.Errorf("no fault and no schedule is set; the faults are %v", fault.Names())
	}
	if _, err := fault.Find(r.Fault); err != nil {
		return nil, "fault", err
	}
	steps = schedule.One(r.Fault, r.Target, nil)
	for _, p := range parts {
		value := map[string]string{"cut": r.Cut, "io": r.IO, "host": r.Host}[p.field]
		if value == "" {
			continue
		}
		if !schedule.Set(steps, p.fault, p.param, value) {
			return nil, p.field, fmt.Errorf("it is a parameter of %s, not of %s", p.fault, r.Fault)
		}
	}
	if r.Points != nil {
		if r.Fault != fault.NameFailpoint {
			return nil, "points", fmt.Errorf("they are those of %s, not of %s", fault.NameFailpoint, r.Fault)
		}
		steps = schedule.Every(steps, fault.NameFailpoint, "point", "", r.Points)
	}
	return steps, "", nil
}

// parts are the fields of the short form that are parameters of a fault.
var parts = []struct{ field, fault, param string }{
	{"cut", fault.NamePowerLoss, "cut"}, {"io", fault.NameIOError, "io"}, {"host", fault.NameHostCrash, "how"},
}

// fieldOf is the field of the run that a step's problem is about.
func fieldOf(r *spec.Run, e *schedule.StepError) string {
	if r.Schedule != nil {
		if e.Field == "" {
			return "schedule" + e.Path
		}
		return "schedule" + e.Path + "." + e.Field
	}
	for _, p := range parts {
		if e.Field == "with."+p.param {
			return p.field
		}
	}
	if e.Field == "with.point" {
		return "points"
	}
	return e.Field
}

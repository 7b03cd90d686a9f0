package crash

import (
	"errors"
	"fmt"
	"slices"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// FromFile is the scenario that a file describes; what it does not say is as in
// the built-in scenario of that fault, if there is one of the fault's name.
func FromFile(file *spec.Scenario) (Scenario, error) {
	fail := func(field string, err error) (Scenario, error) {
		return Scenario{}, file.Problem("run."+field, err)
	}
	r := file.Run
	if r.Fault == "" {
		return fail("fault", fmt.Errorf("no fault is set; the faults are %v", fault.Names()))
	}
	if _, err := fault.Find(r.Fault); err != nil {
		return fail("fault", err)
	}
	s := Scenario{Name: file.Name, Doc: file.Doc, Lab: &file.Lab}
	like := r.Fault
	if like == fault.NameNone {
		like = "healthy"
	}
	if same, err := FindScenario(like); err == nil {
		s.Options = same.Options
	}
	o := &s.Options
	o.Scenario, o.Fault = file.Name, r.Fault
	if r.Cut != "" {
		p, err := fault.ParsePolicy(r.Cut)
		if err != nil {
			return fail("cut", err)
		}
		o.Policy = p
	}
	if r.IO != "" {
		if _, err := fault.ParseDiskFault(r.IO); err != nil {
			return fail("io", err)
		}
		o.IO = r.IO
	}
	how, err := fault.ParseHostCrash(r.Host)
	if err != nil {
		return fail("host", err)
	}
	over(&o.How, how)
	if r.Profile != "" && !slices.Contains(spec.Profiles, r.Profile) {
		return fail("profile", fmt.Errorf("unknown disk profile %q; the profiles are %v", r.Profile, spec.Profiles))
	}
	o.Profile = r.Profile
	if r.Points != nil {
		o.Points = r.Points
	}
	over(&o.Target, r.Target)
	over(&o.Rounds, r.Rounds)
	over(&o.Clients, r.Clients)
	over(&o.OpsBefore, r.Before)
	over(&o.OpsAfter, r.After)
	over(&o.Rate, float64(r.Rate))
	over(&o.Duration, r.Duration)
	if o.Traffic, err = trafficOf(o.Traffic, &r.Traffic); err != nil {
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
	if err := CheckTarget(o.Target, names); err != nil {
		return fail("target", err)
	}
	return s, nil
}

// over sets what a file says.
func over[T comparable](field *T, said T) {
	var zero T
	if said != zero {
		*field = said
	}
}

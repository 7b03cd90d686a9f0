package fault

import (
	"fmt"
	"maps"
	"slices"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Group is what part of a member's world a fault is about.
type Group string

const (
	GroupProcess   Group = "process"
	GroupPower     Group = "power"
	GroupFailpoint Group = "failpoint"
	GroupDisk      Group = "disk"
	GroupNetwork   Group = "network"
	GroupClock     Group = "clock"
	GroupResource  Group = "resource"
	GroupCluster   Group = "cluster"
)

// Kind is a fault of the catalogue.
type Kind struct {
	Name   string
	Group  Group
	Doc    string // one line
	Params []Param
	// Beside says that it can be under way on a member at the same time as
	// another fault. Others wait until the member is healed of the one before:
	// those that end, start or freeze etcd, or change its disk.
	Beside bool
	// Members is the least a lab must have of them.
	Members int
	// New makes the fault for one application. Its arguments have been checked
	// one by one; an error is about how they go together.
	New func(a Args) (Fault, error)
}

// catalogue is every fault, by group.
var catalogue = slices.Concat(
	processKinds, powerKinds, failpointKinds, diskKinds, networkKinds, clockKinds, resourceKinds, clusterKinds, quotaKinds, loadKinds,
)

// Kinds lists the catalogue, in the order of its groups.
func Kinds() []Kind { return slices.Clone(catalogue) }

// Names lists every fault.
func Names() (names []string) {
	for _, k := range catalogue {
		names = append(names, k.Name)
	}
	return names
}

// Find returns a kind by its name.
func Find(name string) (*Kind, error) {
	for i := range catalogue {
		if catalogue[i].Name == name {
			return &catalogue[i], nil
		}
	}
	return nil, fmt.Errorf("unknown fault %q%s", name, spec.DidYouMean(name, Names()))
}

// Make makes a fault for one application: what its parameters are not said to be
// they are by default.
func Make(name string, with map[string]string) (Fault, error) {
	k, err := Find(name)
	if err != nil {
		return nil, err
	}
	return k.Make(with)
}

// Make is a fault of this kind; see the function of that name.
func (k *Kind) Make(with map[string]string) (Fault, error) {
	a := Args{kind: k, said: with}
	for _, name := range slices.Sorted(maps.Keys(with)) {
		p := k.param(name)
		if p == nil {
			return nil, &ParamError{k.Name, name, fmt.Errorf("%s", k.unknown(name))}
		}
		if err := p.Type.check(with[name]); err != nil {
			return nil, &ParamError{k.Name, name, err}
		}
	}
	f, err := k.New(a)
	if err != nil {
		return nil, fmt.Errorf("fault %s: %w", k.Name, err)
	}
	return f, nil
}

func (k *Kind) param(name string) *Param {
	for i := range k.Params {
		if k.Params[i].Name == name {
			return &k.Params[i]
		}
	}
	return nil
}

func (k *Kind) unknown(name string) string {
	if len(k.Params) == 0 {
		return "it has no parameters"
	}
	var names []string
	for _, p := range k.Params {
		names = append(names, p.Name)
	}
	return "it has no such parameter" + spec.DidYouMean(name, names)
}

// paramForce is the parameter of faults that take from etcd what it must be able
// to rely on, and that only a minority may suffer.
const paramForce = "force"

// Honest says whether etcd owes all its promises however often the fault comes.
func (k *Kind) Honest() bool { return k.param(paramForce) == nil }

// ParamError says which parameter of a fault is wrong.
type ParamError struct {
	Fault, Param string
	Err          error
}

func (e *ParamError) Error() string {
	return fmt.Sprintf("fault %s: parameter %s: %v", e.Fault, e.Param, e.Err)
}

func (e *ParamError) Unwrap() error { return e.Err }

// all is a Needs of several capabilities.
func all(m lab.Member, needs ...func(lab.Member) error) error {
	for _, need := range needs {
		if err := need(m); err != nil {
			return err
		}
	}
	return nil
}

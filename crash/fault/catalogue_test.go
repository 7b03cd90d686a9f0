package fault

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

func TestCatalogue(t *testing.T) {
	groups := []Group{GroupProcess, GroupPower, GroupFailpoint, GroupDisk, GroupNetwork, GroupClock, GroupResource, GroupCluster}
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if seen[k.Name] {
			t.Errorf("two faults are named %s", k.Name)
		}
		seen[k.Name] = true
		if k.Doc == "" || strings.HasSuffix(k.Doc, ".") || !slices.Contains(groups, k.Group) {
			t.Errorf("%s: group %q, doc %q", k.Name, k.Group, k.Doc)
		}
		params := map[string]bool{}
		for _, p := range k.Params {
			if params[p.Name] || p.Doc == "" || p.Type.Name == "" {
				t.Errorf("%s: parameter %+v", k.Name, p)
			}
			params[p.Name] = true
			if p.Default != "" {
				if err := p.Type.Check(p.Default); err != nil {
					t.Errorf("%s: the default of %s: %v", k.Name, p.Name, err)
				}
			}
		}
		if f, err := k.Make(nil); err != nil || f == nil {
			t.Errorf("%s with its defaults: %v", k.Name, err)
		}
	}
}

// A killed etcdlab leaves a fault to be healed by one that never applied it.
func TestHealInAnotherProcess(t *testing.T) {
	for _, k := range Kinds() {
		f, err := k.Make(nil)
		if err != nil {
			t.Fatal(err)
		}
		m := newMember("m1")
		if f.Needs(m) != nil || k.Group == GroupCluster {
			continue // the member here is a fake one, without a cluster
		}
		m.set(lab.StateOff)
		s := &Scene{Record: func(history.Event) {}, Members: []lab.Member{m}}
		for range 2 {
			if err := f.Heal(t.Context(), s, []lab.Member{m}); err != nil {
				t.Errorf("%s: %v", k.Name, err)
			}
		}
	}
}

func TestMakeErrors(t *testing.T) {
	for want, c := range map[string]struct {
		name string
		with map[string]string
	}{
		`unknown fault "powerloss", did you mean "power-loss"?`:                  {name: "powerloss"},
		`fault kill: parameter hard: it has no parameters`:                       {"kill", map[string]string{"hard": "1"}},
		`fault power-loss: parameter cutt: it has no such parameter, did you`:    {"power-loss", map[string]string{"cutt": "torn"}},
		`fault power-loss: parameter cut: it cannot be "tron", did you mean`:     {"power-loss", map[string]string{"cut": "tron"}},
		`fault failpoint: parameter within: "5" is not a duration, such as 500m`: {"failpoint", map[string]string{"within": "5"}},
		`fault failpoint: parameter within: -1s must be more than 0 and at most`: {"failpoint", map[string]string{"within": "-1s"}},
	} {
		_, err := Make(c.name, c.with)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
		if _, ok := errors.AsType[*ParamError](err); ok != (c.with != nil) {
			t.Errorf("%s: %T", want, err)
		}
	}
}

func FuzzTypes(f *testing.F) {
	for _, s := range []string{"5s", "-1", "50%", "NaN", "1GiB", "9999999999999999999", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k := &Kind{Name: "x", Params: []Param{
			{Name: "d", Type: duration()}, {Name: "n", Type: count(1)}, {Name: "p", Type: percent()}, {Name: "b", Type: size()},
		}}
		a := Args{kind: k, said: map[string]string{"d": s, "n": s, "p": s, "b": s}}
		// What is accepted is what is then had.
		if duration().Check(s) == nil && (a.Duration("d") <= 0 || a.Duration("d") > maxFor) ||
			count(1).Check(s) == nil && a.Count("n") < 1 ||
			percent().Check(s) == nil && !(a.Share("p") >= 0 && a.Share("p") <= 1) ||
			size().Check(s) == nil && a.Bytes("b") <= 0 {
			t.Errorf("%q: %v %d %v %d", s, a.Duration("d"), a.Count("n"), a.Share("p"), a.Bytes("b"))
		}
	})
}

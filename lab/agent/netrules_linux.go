package agent

import (
	"context"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/wire"
)

// place is where the member is plugged in.
func (a *Agent) place() wire.Place { return wire.Place{NetNS: a.cfg.SwitchNS, Port: a.cfg.Port} }

// SetNetRules puts a wire between etcd's namespace and the rest as long as there
// are rules. What the agent itself says to the controller takes another way.
func (a *Agent) SetNetRules(_ context.Context, owner string, rules []lab.NetRule, seed uint64) error {
	if a.cfg.Port == "" {
		return a.lacks("NetShaper", "etcd shares the network of its agent, which has no link to put anything on; use disk: {kind: fault}")
	}
	a.mu.Lock()
	w := a.wire
	a.mu.Unlock()
	if w == nil && len(rules) == 0 {
		return wire.Clear(a.place())
	}
	if w == nil {
		var err error
		if w, err = wire.Insert(a.place()); err != nil {
			return err
		}
		a.setWire(w)
	}
	w.Set(owner, rules, seed)
	if !w.Idle() {
		return nil
	}
	a.setWire(nil)
	return w.Remove()
}

func (a *Agent) setWire(w *wire.Splice) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wire = w
}

// NetRules gives the rules with what each did.
func (a *Agent) NetRules(context.Context) ([]lab.NetRuleState, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wire == nil {
		return []lab.NetRuleState{}, nil
	}
	return a.wire.States(), nil
}

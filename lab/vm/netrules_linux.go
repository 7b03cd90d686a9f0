package vm

import (
	"context"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/wire"
)

// SetNetRules applies the rules where the machine's frames and its clients'
// connections pass anyway, beside the machine: the guest has no part in it.
func (h *host) SetNetRules(_ context.Context, owner string, rules []lab.NetRule, seed uint64) error {
	for _, r := range rules {
		if why := wire.CanStream(r); why != "" {
			return &lab.UnsupportedError{Member: h.c.Member, Capability: "NetShaper", Reason: why}
		}
	}
	h.port.wire.Set(owner, rules, seed)
	h.clients.Set(owner, rules, seed)
	return nil
}

func (h *host) NetRules(context.Context) ([]lab.NetRuleState, error) {
	states := h.port.wire.States()
	h.clients.Add(states)
	return states, nil
}

package agent

import (
	"context"

	"github.com/etcdlab/etcdlab/lab"
)

// netRulesRequest replaces rules of the member's link.
type netRulesRequest struct {
	Owner string        `json:"owner"`
	Rules []lab.NetRule `json:"rules"`
	Seed  uint64        `json:"seed"`
}

func (r netRulesRequest) check() error { return lab.CheckNetRules(r.Owner, r.Rules) }

func (c *Client) SetNetRules(ctx context.Context, owner string, rules []lab.NetRule, seed uint64) error {
	return c.call(ctx, "PUT", "net/rules", netRulesRequest{owner, rules, seed}, nil)
}

func (c *Client) NetRules(ctx context.Context) (s []lab.NetRuleState, err error) {
	return s, c.call(ctx, "GET", "net/rules", nil, &s)
}

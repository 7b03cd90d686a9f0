package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// statusWithin bounds a question to a member that may be cut off.
const statusWithin = time.Second

// Faults of the network that pass packets on, but not as they were sent.
const (
	NameSlowNetwork      = "slow-network"
	NameLossyNetwork     = "lossy-network"
	NameRateLimit        = "rate-limit"
	NameResetConnections = "reset-connections"
)

var sideParam = Param{"side", "whose packets: those between members, those of clients, or both", word(sidePeer, sideClient, sideBoth), sidePeer}

var networkKinds = []Kind{
	partitionKind(),
	{
		Name: NameSlowNetwork, Group: GroupNetwork, Beside: true, Members: 2, Doc: "every packet is delayed, in each direction",
		Params: []Param{
			{"delay", "of each packet", duration(), "75ms"},
			{"jitter", "as much more or less, at random; it does not reorder", text(checkJitter), "50ms"}, sideParam,
		},
		New: func(a Args) (Fault, error) {
			delay, jitter := a.Duration("delay"), a.Duration("jitter")
			return shaped(NameSlowNetwork, a.Text("side"), fmt.Sprintf("delayed by %v +- %v", delay, jitter),
				lab.NetRule{Action: lab.NetShape, Delay: delay, Jitter: jitter})
		},
	},
	{
		Name: NameLossyNetwork, Group: GroupNetwork, Beside: true, Members: 2, Doc: "packets are lost, come twice, or are overtaken, at random",
		Params: []Param{
			{"loss", "of the packets of each direction", percent(), "20%"},
			{"duplicate", "of those that are left", percent(), "0%"},
			{"reorder", "of those that are left, so many are overtaken by others", percent(), "0%"}, sideParam,
		},
		New: func(a Args) (Fault, error) {
			r := lab.NetRule{Action: lab.NetShape, Loss: a.Share("loss"), Duplicate: a.Share("duplicate"), Reorder: a.Share("reorder")}
			var what []string
			for _, name := range []string{"loss", "duplicate", "reorder"} {
				if a.Share(name) > 0 {
					what = append(what, fmt.Sprintf("%s %.3g%%", name, 100*a.Share(name)))
				}
			}
			if len(what) == 0 {
				return nil, errors.New("loss, duplicate and reorder are all 0: nothing would happen")
			}
			return shaped(NameLossyNetwork, a.Text("side"), strings.Join(what, ", "), r)
		},
	},
	{
		Name: NameRateLimit, Group: GroupNetwork, Beside: true, Members: 2, Doc: "so many bytes a second pass in each direction",
		Params: []Param{{"rate", "bytes a second", size(), "256KiB"}, sideParam},
		New: func(a Args) (Fault, error) {
			return shaped(NameRateLimit, a.Text("side"), "at "+a.Text("rate")+" a second", lab.NetRule{Action: lab.NetShape, Rate: a.Bytes("rate")})
		},
	},
	{
		Name: NameResetConnections, Group: GroupNetwork, Beside: true, Members: 2, Doc: "every open connection is reset; new ones pass",
		Params: []Param{sideParam},
		New: func(a Args) (Fault, error) {
			return shaped(NameResetConnections, a.Text("side"), "open connections reset", lab.NetRule{Action: lab.NetReset})
		},
	},
}

func checkJitter(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxFor {
		return fmt.Errorf("%q is not a duration, such as 0s or 50ms", s)
	}
	return nil
}

// shaped has one rule for the packets of each target.
func shaped(name, side, what string, r lab.NetRule) (Fault, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	of := map[string]string{sidePeer: "its packets to and from the others ", sideClient: "its clients' packets ", sideBoth: "its packets "}[side]
	return &Network{name, func(ctx context.Context, s *Scene, targets []lab.Member) (links []link, err error) {
		for _, m := range targets {
			own, err := s.towards(ctx, m, side, r)
			if err != nil {
				return nil, err
			}
			links = append(links, link{m, []lab.NetRule{own}, of + what})
		}
		return links, nil
	}, hitFor}, nil
}

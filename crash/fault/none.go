package fault

import (
	"context"

	"github.com/etcdlab/etcdlab/lab"
)

// NameNone is the fault of runs without one: the load alone is what is judged.
const NameNone = "none"

// None does nothing. It is never seen to take effect.
type None struct{}

var loadKinds = []Kind{
	{Name: NameNone, Group: GroupProcess, Doc: "nothing is done: the load alone is what is judged", New: func(Args) (Fault, error) { return &None{}, nil }},
}

func (*None) Needs(lab.Member) error { return nil }

func (*None) Apply(context.Context, *Scene, []lab.Member) (Effect, error) { return Effect{}, nil }

func (*None) Heal(context.Context, *Scene, []lab.Member) error { return nil }

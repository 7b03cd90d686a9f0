package fault

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

var clockKinds = []Kind{
	{
		Name: "clock-step", Group: GroupClock, Beside: true,
		Doc:    "the targets' wall clocks are set forward or back; where members have clocks of their own",
		Params: []Param{{Name: "by", Doc: "how far, such as 1h or -90s", Type: text(stepForm), Default: "1h"}},
		New: func(a Args) (Fault, error) {
			by, err := time.ParseDuration(a.Text("by"))
			return &Clock{To: lab.Clock{Offset: by}}, err
		},
	},
	{
		Name: "clock-skew", Group: GroupClock, Beside: true,
		Doc:    "the targets' wall clocks run faster or slower; where members have clocks of their own",
		Params: []Param{{Name: "percent", Doc: "how much faster: -10 to 10", Type: text(skewForm), Default: "10"}},
		New: func(a Args) (Fault, error) {
			by, err := parseSkew(a.Text("percent"))
			return &Clock{To: lab.Clock{Rate: by}}, err
		},
	},
}

func stepForm(s string) error {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a duration, such as 1h or -90s", s)
	case d == 0 || d.Abs() > 10*365*24*time.Hour:
		return fmt.Errorf("%s must be other than 0, and at most ten years either way", s)
	case d.Abs() < time.Second:
		return fmt.Errorf("%s is less than 1s, which could not be seen", s)
	}
	return nil
}

func skewForm(s string) error { _, err := parseSkew(s); return err }

// parseSkew reads -10 to 10, in percent, as a share.
func parseSkew(s string) (float64, error) {
	f, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a percentage from -10 to 10", s)
	}
	if !(f >= -10 && f <= 10) || f == 0 {
		return 0, fmt.Errorf("%s must be other than 0, from -10 to 10: the kernel bends clocks no further", s)
	}
	return f / 100, nil
}

// Clock sets wall clocks.
type Clock struct{ To lab.Clock }

func (*Clock) Needs(m lab.Member) error { return needs[lab.Clocker](m) }

// near is what a clock may be off, asked over a connection.
const near = 800 * time.Millisecond

func (f *Clock) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	effect := Effect{Observed: true, Message: fmt.Sprintf("%+v", f.To)}
	if f.To.Offset != 0 {
		effect.Message = fmt.Sprintf("clocks seen %v off", f.To.Offset)
	} else {
		effect.Message = fmt.Sprintf("clocks seen to run %+g %% fast", f.To.Rate*100)
	}
	err := each(targets, func(m lab.Member) error {
		s.event(history.EventFault, m.Name(), "clock: "+effect.Message)
		return f.set(ctx, s, m, f.To)
	})
	if err != nil {
		return Effect{}, err
	}
	return effect, nil
}

// set sets a clock and sees it set.
func (f *Clock) set(ctx context.Context, s *Scene, m lab.Member, to lab.Clock) error {
	c, err := lab.Can[lab.Clocker](m)
	if err != nil {
		return err
	}
	if err := c.SetClock(ctx, to); err != nil {
		return err
	}
	now, err := c.Clock(ctx)
	if err != nil {
		return err
	}
	if (now.Offset-to.Offset).Abs() > s.slow(near) || now.Rate-to.Rate > 0.001 || to.Rate-now.Rate > 0.001 {
		return fmt.Errorf("set the clock of %s: it is %+v, not %+v", m.Name(), now, to)
	}
	return nil
}

func (f *Clock) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	return each(targets, func(m lab.Member) error {
		if err := f.set(ctx, s, m, lab.Clock{}); err != nil {
			return err
		}
		s.event(history.EventHealed, m.Name(), "clock right")
		return nil
	})
}

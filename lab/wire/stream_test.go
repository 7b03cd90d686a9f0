package wire

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

func TestStreams(t *testing.T) {
	s := NewStreams()
	old := s.Begin()
	pass := func(connection int, to Direction) error {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		return s.Pass(ctx, connection, to, 100)
	}
	for _, c := range []struct {
		rule         lab.NetRule
		old, in, out error
	}{
		{lab.NetRule{Action: lab.NetDrop, Side: lab.NetPeer}, nil, nil, nil},
		{lab.NetRule{Action: lab.NetDrop, Peers: []netip.Addr{netip.MustParseAddr(other)}}, nil, nil, nil},
		{lab.NetRule{Action: lab.NetDrop}, context.DeadlineExceeded, context.DeadlineExceeded, context.DeadlineExceeded},
		{lab.NetRule{Action: lab.NetDrop, Side: lab.NetClient, Direction: lab.NetOut}, nil, nil, context.DeadlineExceeded},
		{lab.NetRule{Action: lab.NetReject}, ErrReset, ErrReset, ErrReset},
		{lab.NetRule{Action: lab.NetReset}, ErrReset, nil, nil},
		{lab.NetRule{Action: lab.NetShape, Rate: 1 << 20}, nil, nil, nil},
		{lab.NetRule{Action: lab.NetShape, Delay: time.Minute}, context.DeadlineExceeded, context.DeadlineExceeded, context.DeadlineExceeded},
	} {
		s.Set("", []lab.NetRule{c.rule}, 1)
		young := s.Begin()
		for i, try := range []struct {
			connection int
			to         Direction
			want       error
		}{{old, In, c.old}, {young, In, c.in}, {young, Out, c.out}} {
			if err := pass(try.connection, try.to); !errors.Is(err, try.want) {
				t.Errorf("%+v, try %d: %v, want %v", c.rule, i, err, try.want)
			}
		}
		states := []lab.NetRuleState{{NetRule: c.rule, Packets: 5}}
		s.Add(states)
		if hit := c.old != nil || c.in != nil || c.out != nil; hit != (states[0].Hit > 0) && c.rule.Rate == 0 || states[0].Packets < 5 {
			t.Errorf("%+v", states)
		}
	}
}

// The last connection before a reset is one that was open.
func TestStreamsResetTheLast(t *testing.T) {
	s := NewStreams()
	last := s.Begin()
	s.Set("", []lab.NetRule{{Action: lab.NetReset}}, 1)
	if err := s.Pass(context.Background(), last, In, 1); !errors.Is(err, ErrReset) {
		t.Errorf("%v, want a reset", err)
	}
}

// What a rule holds back goes on when it is gone.
func TestStreamsHealed(t *testing.T) {
	s := NewStreams()
	s.Set("", []lab.NetRule{{Action: lab.NetDrop}}, 1)
	done := make(chan error)
	go func() { done <- s.Pass(context.Background(), s.Begin(), In, 10) }()
	for states := make([]lab.NetRuleState, 1); states[0].Hit == 0; time.Sleep(time.Millisecond) {
		states[0] = lab.NetRuleState{}
		s.Add(states)
	}
	s.Set("", nil, 0)
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for ever")
	}
}

func TestCanStream(t *testing.T) {
	for _, r := range []lab.NetRule{
		{Action: lab.NetDrop}, {Action: lab.NetShape, Delay: 1}, {Action: lab.NetShape, Loss: 1, Side: lab.NetPeer},
		{Action: lab.NetShape, Loss: 1, Peers: []netip.Addr{netip.MustParseAddr(other)}},
	} {
		if why := CanStream(r); why != "" {
			t.Errorf("%+v: %s", r, why)
		}
	}
	if CanStream(lab.NetRule{Action: lab.NetShape, Loss: 1}) == "" {
		t.Error("a lossy stream")
	}
}

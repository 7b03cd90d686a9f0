package fault

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

// Quota waits until the load has filled etcd's own quota (quota-backend-bytes)
// and etcd raises its alarm, and lifts it as an operator would: defragment every
// member, then disarm the alarm. The load must compact, or nothing is freed; or the
// quota is the fault's own, and Heal takes it back.
type Quota struct {
	Within time.Duration // for the quota to be reached
	Room   int64         // bytes above the largest db that the quota is set to; 0 is the lab's quota
}

var quotaKinds = []Kind{
	{
		Name: "space-quota", Group: GroupCluster,
		Doc: "the load fills etcd's space quota until etcd raises its alarm; healed by defragmenting every member and disarming it",
		Params: []Param{
			{Name: "within", Doc: "how long the load may take to fill it", Type: duration(), Default: "1m"},
			{Name: "room", Doc: "how far above the largest db the quota is set, by restarting each member (default: the lab's quota)", Type: size()},
		},
		New: func(a Args) (Fault, error) {
			return &Quota{Within: a.Duration("within"), Room: a.Bytes("room")}, nil
		},
	},
}

func (q *Quota) Needs(m lab.Member) error {
	if q.Room == 0 {
		return nil
	}
	return all(m, needs[lab.Runner], needs[lab.Configurer])
}

func (q *Quota) Apply(ctx context.Context, s *Scene, _ []lab.Member) (Effect, error) {
	if err := q.lower(ctx, s); err != nil {
		return Effect{}, err
	}
	for _, m := range s.Members {
		s.event(history.EventFault, m.Name(), "the space quota is to be reached")
	}
	var raised []string
	ok, err := until(ctx, s.slow(q.Within), func(ctx context.Context) (bool, error) {
		raised = s.alarms(ctx)
		return len(raised) > 0, nil
	})
	if err != nil || !ok {
		return Effect{Message: fmt.Sprintf("no alarm was raised within %v: the load writes too little, or quota-backend-bytes is too much", s.slow(q.Within))}, err
	}
	return Effect{Observed: true, Message: "etcd raised " + strings.Join(raised, ", ")}, nil
}

// lower restarts every member with a quota that leaves Room.
func (q *Quota) lower(ctx context.Context, s *Scene) error {
	if q.Room == 0 {
		return nil
	}
	var largest int64
	err := s.ask(ctx, func(ctx context.Context, m lab.Member) error {
		c := s.Cluster.Client(m.Name())
		status, err := c.Status(ctx, c.Endpoints()[0])
		if err == nil {
			largest = max(largest, status.DbSize)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("ask for the sizes of the members' databases: %w", err)
	}
	args := map[string]string{"quota-backend-bytes": strconv.FormatInt(largest+q.Room, 10)}
	for _, m := range s.Members {
		if err := s.restartAs(ctx, m, &lab.Settings{Args: args}, "restarted with "+words(args)); err != nil {
			return err
		}
	}
	return nil
}

// alarms are those that any member tells of.
func (s *Scene) alarms(ctx context.Context) (names []string) {
	for _, m := range s.Members {
		short, cancel := context.WithTimeout(ctx, s.slow(time.Second))
		r, err := s.Cluster.Client(m.Name()).AlarmList(short)
		cancel()
		if err != nil {
			continue
		}
		for _, a := range r.Alarms {
			names = append(names, fmt.Sprintf("%s of member %x", a.Alarm, a.MemberID))
		}
		return names
	}
	return nil
}

// quotaHealWithin bounds the wait for the alarm to stay away: the load compacts
// in its own time, and until it has, defragmenting frees nothing.
const quotaHealWithin = time.Minute

func (q *Quota) Heal(ctx context.Context, s *Scene, _ []lab.Member) error {
	if q.Room > 0 {
		for _, m := range s.Members {
			if err := s.unconfigure(ctx, m); err != nil {
				return err
			}
			if err := s.serves(ctx, m); err != nil {
				return err
			}
		}
	}
	ok, err := until(ctx, s.slow(quotaHealWithin), func(ctx context.Context) (bool, error) {
		if err := defragment(ctx, s, nil, s.Members); err != nil {
			return false, nil
		}
		for _, m := range s.Members {
			short, cancel := context.WithTimeout(ctx, s.slow(time.Second))
			c := s.Cluster.Client(m.Name())
			list, err := c.AlarmList(short)
			if err == nil {
				for _, a := range list.Alarms {
					if a.Alarm == pb.AlarmType_NOSPACE {
						_, err = pb.NewMaintenanceClient(c.ActiveConnection()).Alarm(short, &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, Alarm: a.Alarm, MemberID: a.MemberID})
					}
				}
			}
			cancel()
			if err == nil {
				break
			}
		}
		return len(s.alarms(ctx)) == 0, nil
	})
	if err == nil && !ok {
		err = errors.New("the alarm is still raised; does the load compact?")
	}
	if err == nil {
		s.event(history.EventHealed, "", "every member was defragmented, and the alarm disarmed")
	}
	return err
}

package crash

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/traffic"
	"github.com/etcdlab/etcdlab/lab"
)

// archived is a member whose data directory is what send sends.
type archived struct {
	lab.Member
	state lab.State
	send  func(*tar.Writer) error
}

func (m *archived) Name() string { return "m1" }

func (m *archived) Info(context.Context) (lab.Info, error) { return lab.Info{State: m.state}, nil }

func (m *archived) Archive(_ context.Context, w io.Writer) (string, error) {
	t := tar.NewWriter(w)
	return "frozen", errors.Join(m.send(t), t.Close())
}

func TestADataDirectoryHasItsNameOnlyOnceItIsWhole(t *testing.T) {
	for name, fails := range map[string]error{"whole": nil, "half": errors.New("the agent is gone")} {
		t.Run(name, func(t *testing.T) {
			r := &run{dir: &runDir{path: t.TempDir()}}
			data := history.Dir(r.dir.path).Data("m1")
			m := &archived{send: func(w *tar.Writer) error {
				h := &tar.Header{Name: "member/snap/db", Mode: 0o600, Size: 4, Typeflag: tar.TypeReg}
				if err := w.WriteHeader(h); err != nil {
					return err
				}
				if _, err := w.Write([]byte("bolt")); err != nil {
					return err
				}
				if err := w.Flush(); err != nil {
					return err
				}
				if _, err := os.Stat(data); err == nil {
					t.Error("a kill of etcdlab now would leave half a copy that looks whole")
				}
				return fails
			}}
			how, err := r.copyData(t.Context(), m)
			if !errors.Is(err, fails) || (how == "frozen") != (fails == nil) {
				t.Errorf("%q, %v", how, err)
			}
			left, err := filepath.Glob(filepath.Join(r.dir.path, "*", "m1", "*"))
			if want := fails == nil; err != nil || (len(left) == 1 && left[0] == data) != want || !want && len(left) > 0 {
				t.Errorf("%v, %v", left, err)
			}
		})
	}
}

// slowEtcd refuses its first reads, as one does that has no leader yet.
type slowEtcd struct {
	pb.UnimplementedKVServer
	pb.UnimplementedMaintenanceServer
	refuse atomic.Int32
}

func header() *pb.ResponseHeader { return &pb.ResponseHeader{Revision: 7, MemberId: 1} }

func (s *slowEtcd) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	if s.refuse.Add(-1) >= 0 {
		return nil, status.Error(codes.Unavailable, "etcdserver: leader changed")
	}
	return &pb.RangeResponse{Header: header()}, nil
}

func (s *slowEtcd) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	return &pb.StatusResponse{Header: header(), RaftAppliedIndex: 9}, nil
}

func (s *slowEtcd) Alarm(context.Context, *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	return &pb.AlarmResponse{Header: header()}, nil
}

func (s *slowEtcd) Hash(context.Context, *pb.HashRequest) (*pb.HashResponse, error) {
	return &pb.HashResponse{Header: header()}, nil
}

func (s *slowEtcd) HashKV(context.Context, *pb.HashKVRequest) (*pb.HashKVResponse, error) {
	return &pb.HashKVResponse{Header: header(), Hash: 42}, nil
}

func TestOneReadThatFailsIsNoFailureToServe(t *testing.T) {
	for name, c := range map[string]struct {
		refuse  int32
		state   lab.State
		serving bool
	}{
		"a late election":       {3, lab.StateRunning, true},
		"etcd that has crashed": {1 << 30, lab.StateStopped, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &slowEtcd{}
			s.refuse.Store(c.refuse)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer()
			pb.RegisterKVServer(server, s)
			pb.RegisterMaintenanceServer(server, s)
			go func() { _ = server.Serve(l) }()
			t.Cleanup(server.Stop)
			client, err := traffic.Dial("http://"+l.Addr().String(), nil, 1)
			if err != nil {
				t.Fatal(err)
			}
			cl := &cluster{lab: &lab.Lab{}, clients: map[string]*clientv3.Client{"m1": client}}
			t.Cleanup(func() { _ = cl.close() })
			f := cl.final(t.Context(), &archived{state: c.state}, 7)
			if f.Serving != c.serving || (f.Hash == 42) != c.serving {
				t.Errorf("%+v", f)
			}
		})
	}
}

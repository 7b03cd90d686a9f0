package traffic

import (
	"context"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcdlab/etcdlab/crash/history"
)

func TestFailedIsOnlyWhatEtcdRefusesBeforeItProposes(t *testing.T) {
	for err, want := range map[error]history.Outcome{
		rpctypes.Error(rpctypes.ErrGRPCRequestTooLarge): history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCEmptyKey):        history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCDuplicateKey):    history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCTooManyOps):      history.Failed,
		// etcd applies the write that uses the quota up, and answers so.
		rpctypes.Error(rpctypes.ErrGRPCNoSpace):                       history.Unknown,
		rpctypes.Error(rpctypes.ErrGRPCTimeout):                       history.Unknown,
		rpctypes.Error(rpctypes.ErrGRPCTimeoutDueToLeaderFail):        history.Unknown,
		rpctypes.Error(rpctypes.ErrGRPCLeaderChanged):                 history.Unknown,
		rpctypes.Error(rpctypes.ErrGRPCStopped):                       history.Unknown,
		rpctypes.Error(rpctypes.ErrGRPCCorrupt):                       history.Unknown,
		status.Error(codes.Unavailable, "error reading from server"):  history.Unknown,
		status.Error(codes.ResourceExhausted, "message is too large"): history.Unknown,
		context.DeadlineExceeded:                                      history.Unknown,
	} {
		if got := classify(err); got != want {
			t.Errorf("%v is %v, want %v", err, got, want)
		}
	}
}

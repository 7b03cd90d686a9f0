package traffic

import (
	"context"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcdlab/etcdlab/crash/history"
)

func TestFailedIsOnlyWhatEtcdSurelyDidNotApply(t *testing.T) {
	for err, want := range map[error]history.Outcome{
		// The applier looks before it writes.
		rpctypes.Error(rpctypes.ErrGRPCCompacted):            history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCFutureRev):            history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCLeaseNotFound):        history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCLeaseExist):           history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCLeaseTTLTooLarge):     history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCPermissionDenied):     history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCAuthOldRevision):      history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCInvalidAuthToken):     history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCUserEmpty):            history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCUserAlreadyExist):     history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCRoleNotGranted):       history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCPermissionNotGranted): history.Failed,
		rpctypes.ErrGRPCCompacted:                            history.Failed, // as the generated clients give it
		rpctypes.ErrGRPCTimeout:                              history.Unknown,
		rpctypes.Error(rpctypes.ErrGRPCNoLeader):             history.Unknown,
		rpctypes.Error(rpctypes.ErrGRPCRequestTooLarge):      history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCEmptyKey):             history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCDuplicateKey):         history.Failed,
		rpctypes.Error(rpctypes.ErrGRPCTooManyOps):           history.Failed,
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

func TestDeniedIsForWantOfAPermission(t *testing.T) {
	for err, want := range map[error]bool{
		rpctypes.ErrGRPCPermissionDenied: true,
		rpctypes.ErrGRPCUserEmpty:        false,
		rpctypes.ErrGRPCInvalidAuthToken: false,
	} {
		op := &history.Op{}
		if refused(op, err); op.Denied != want || op.Error == "" {
			t.Errorf("%v: denied is %v, error %q", err, op.Denied, op.Error)
		}
	}
}

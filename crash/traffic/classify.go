package traffic

import (
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/etcdlab/etcdlab/crash/history"
)

// definite are the errors after which an operation was not applied and will not
// be. "no space" is not among them: the write that finds the quota used up is
// applied all the same (etcd, quotaApplierV3). Nor is "no leader", which a
// member also gives for what it proposed before it lost its leader.
var definite = []error{
	// The gRPC layer or the server refuses before it proposes.
	rpctypes.ErrTooManyRequests, rpctypes.ErrRequestTooLarge, rpctypes.ErrEmptyKey, rpctypes.ErrDuplicateKey,
	rpctypes.ErrTooManyOps, rpctypes.ErrInvalidSortOption, rpctypes.ErrValueProvided, rpctypes.ErrLeaseProvided,
	rpctypes.ErrUserEmpty, rpctypes.ErrRoleEmpty, rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthFailed,
	// The applier checks these before it begins to write.
	rpctypes.ErrKeyNotFound, rpctypes.ErrCompacted, rpctypes.ErrFutureRev,
	rpctypes.ErrLeaseNotFound, rpctypes.ErrLeaseExist, rpctypes.ErrLeaseTTLTooLarge,
	rpctypes.ErrPermissionDenied, rpctypes.ErrAuthOldRevision, rpctypes.ErrAuthNotEnabled, rpctypes.ErrInvalidAuthMgmt,
	rpctypes.ErrRootUserNotExist, rpctypes.ErrRootRoleNotExist, rpctypes.ErrUserAlreadyExist, rpctypes.ErrUserNotFound,
	rpctypes.ErrRoleAlreadyExist, rpctypes.ErrRoleNotFound, rpctypes.ErrRoleNotGranted, rpctypes.ErrPermissionNotGranted,
}

// classify says Failed only of errors that tell that the operation was not
// applied; any other may hide an applied write.
func classify(err error) history.Outcome {
	err = rpctypes.Error(err)
	for _, d := range definite {
		if errors.Is(err, d) {
			return history.Failed
		}
	}
	return history.Unknown
}

// refused fills in what an error says of an operation.
func refused(op *history.Op, err error) {
	err = rpctypes.Error(err)
	op.Outcome, op.Error = classify(err), err.Error()
	op.Denied = errors.Is(err, rpctypes.ErrPermissionDenied)
}

// futureRevision is the text of an answer about a revision that the member has
// not come to yet.
var futureRevision = rpctypes.ErrFutureRev.Error()

// notEnabled is the text of an answer about authentication that is off.
var notEnabled = rpctypes.ErrAuthNotEnabled.Error()

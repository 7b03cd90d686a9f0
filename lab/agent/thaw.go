package agent

// HelperThaw is the command `etcdlab agent thaw ID`: it thaws every control group
// of the v1 freezer below one that is called ID. Under v1 a frozen process takes
// no SIGKILL, so an etcd whose agent was killed beside it would keep its
// container from ever ending. It runs in a container of its own, in the host's
// control group namespace, with SYS_ADMIN.
const HelperThaw = "thaw"

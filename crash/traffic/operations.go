package traffic

// The operations, each beside its kin.

var writes = []Operation{
	{"put", "a key, its value's size drawn from Sizes", (*client).put},
	{"put-prev", "a key, answered with what was there before", (*client).put},
	{"put-lease", "a key attached to a lease that is alive, or was", (*client).put},
	{"delete", "a key", (*client).delete},
	{"delete-prev", "a key, answered with what was there", (*client).delete},
	{"delete-range", "up to four keys in a row", (*client).delete},
}

var reads = []Operation{
	{"get", "a key, linearizable", (*client).get},
	{"stale-get", "a key as the asked member has it (serializable)", (*client).staleGet},
	{"old-get", "a key at an older revision, perhaps a compacted or a future one", (*client).get},
	{"range", "ten keys in a row, half of the time with a limit", (*client).rangeKeys},
	{"stale-range", "the same, serializable", (*client).staleRange},
	{"old-range", "the same, at an older revision", (*client).rangeKeys},
	{"prefix", "every key, with a limit", (*client).rangeKeys},
	{"keys-only", "keys in a row, without values", (*client).rangeKeys},
	{"count-only", "how many keys there are in an interval", (*client).rangeKeys},
	{"sorted", "keys in a row by any target, ascending or descending", (*client).rangeKeys},
}

var transactions = []Operation{
	{"compare-swap", "if the key is as last seen, put and get it; else get it", (*client).compareSwap},
	{"multi-put", "two puts and a get, unconditional", (*client).multiPut},
	{"txn", "random compares, puts, gets and deletes in both branches", (*client).compareSwap},
	{"txn-nested", "transactions in a transaction", (*client).compareSwap},
	{"txn-read", "reads alone, some at older revisions", (*client).compareSwap},
	{"txn-old", "a put and a read at an older revision, perhaps just compacted", (*client).compareSwap},
	{"replace", "a delete of some keys and a put of others in one", (*client).compareSwap},
}

var leaseOperations = []Operation{
	{"lease-grant", "a lease with an ID chosen by the client", (*client).put},
	{"lease-keep-alive", "once", (*client).put},
	{"lease-revoke", "with the keys attached to it", (*client).put},
	{"lease-ttl", "what is left of a lease, with its keys", (*client).put},
	{"lease-list", "every lease", (*client).put},
}

var lockOperations = []Operation{
	{"lock", "a session, a lock, a few writes guarded by it, unlock", (*client).put},
	{"election", "a session, a campaign, a proclamation, a resignation", (*client).put},
	{"leader", "who leads an election", (*client).put},
}

var kubernetesOperations = []Operation{
	{"kube-create", "an object, if there is none", (*client).put},
	{"kube-update", "an object, if it is as last seen", (*client).put},
	{"kube-delete", "an object, if it is as last seen", (*client).put},
	{"kube-get", "an object", (*client).get},
	{"kube-list", "all objects in pages, each at the first page's revision", (*client).put},
}

var memberOperations = []Operation{
	{"status", "of a member", (*client).put},
	{"members", "the list of members", (*client).put},
	{"alarms", "the list of alarms", (*client).put},
}

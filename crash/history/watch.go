package history

// WatchKind is what a record of a watch tells.
type WatchKind uint8

const (
	// WatchOpened: the client asked; Request holds.
	WatchOpened WatchKind = iota
	// WatchCreated: the server agreed.
	WatchCreated
	// WatchEvents: events came, of one revision or more.
	WatchEvents
	// WatchProgress: a bookmark; every event up to Revision had been sent.
	WatchProgress
	// WatchAsked: the client asked for a bookmark.
	WatchAsked
	// WatchCanceled: the server ended it; CompactRevision says up to where
	// events are gone, if that is why.
	WatchCanceled
	// WatchClosed: the client ended it, or its connection did.
	WatchClosed
	watchKinds
)

// WatchRequest is what a watch asks for.
type WatchRequest struct {
	Key      string
	End      string // exclusive, as in etcd's API; "" is the one key
	Start    int64  // the first revision wanted; 0: from when it is created
	Prev     bool   // events come with what was there before
	Progress bool   // bookmarks are wanted from time to time
	NoPut    bool
	NoDelete bool
	Fragment bool
	// Recorder marks the watches that the run itself keeps open on all of its
	// keys from its begin, as evidence of what compaction removes.
	Recorder bool
}

// WatchEvent is one event. KV of a delete has a key and a mod revision alone.
type WatchEvent struct {
	Delete bool
	KV     KV
	Prev   *KV // nil: none was given
}

// WatchRecord is one line of a watch's history. Time is when the client had it,
// in nanoseconds of CLOCK_MONOTONIC.
type WatchRecord struct {
	Watch           uint64 // unique in the run; a watch resumed by the client library is one
	Client          int32
	Member          string // the member asked; "" is any
	Kind            WatchKind
	Time            int64
	Revision        int64 // the response header's
	MemberID        uint64
	CompactRevision int64
	Error           string
	Request         *WatchRequest
	Events          []WatchEvent
}

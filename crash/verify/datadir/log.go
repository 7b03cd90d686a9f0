package datadir

// LogEntry is an entry of the WAL and where its record is. It holds until the
// callback that it is given to returns.
type LogEntry struct {
	Index, Term uint64
	Kind        uint64 // raftpb.EntryType; 0: normal
	Data        []byte
	File        string // of the segment, relative to the data directory
	Offset      int64  // of the record in it, in bytes
}

// ReadLog reads the WAL and the snapshot files of a data directory, without the
// db, in this process: none of them is mapped. each is called with every whole
// entry in the order of the log; one replaces those from its index on. Damage is
// in the report's Problems, the error is about the reading.
func ReadLog(dir string, each func(*LogEntry)) (*Report, error) {
	rep := &Report{}
	w := &walReader{rep: rep}
	w.entry = func(e *entry, pos int) {
		each(&LogEntry{e.index, e.term, e.kind, e.data, w.name, int64(pos)})
	}
	if err := w.read(dir); err != nil {
		return nil, err
	}
	return rep, readSnaps(dir, rep)
}

// KeyValue is a record of the key bucket, as mvccpb.KeyValue.
type KeyValue struct {
	Key, Value                  []byte // of the parsed bytes
	Create, Mod, Version, Lease int64
}

// ParseKeyValue reads the value of a record.
func ParseKeyValue(b []byte) (KeyValue, error) {
	var kv keyValue
	err := kv.parse(b)
	return KeyValue{kv.key, kv.value, kv.create, kv.mod, kv.version, kv.lease}, err
}

package history

import "fmt"

// Flags of a watch's request.
const (
	watchPrev = 1 << iota
	watchProgress
	watchNoPut
	watchNoDelete
	watchFragment
	watchRecorder
	watchFlags = 1<<iota - 1
)

// Flags of a watch's event.
const (
	eventDelete = 1 << iota
	eventPrev
)

func appendWatch(b []byte, r *WatchRecord) ([]byte, error) {
	e := encoder{b: b}
	e.enum(uint8(r.Kind), uint8(watchKinds), "kind")
	e.byte(flag(r.Request != nil, 1))
	e.uvarint(r.Watch)
	e.varint(int64(r.Client))
	e.string(r.Member)
	e.varint(r.Time)
	e.varint(r.Revision)
	e.uvarint(r.MemberID)
	e.varint(r.CompactRevision)
	e.string(r.Error)
	if q := r.Request; q != nil {
		e.string(q.Key)
		e.string(q.End)
		e.varint(q.Start)
		e.byte(flag(q.Prev, watchPrev) | flag(q.Progress, watchProgress) | flag(q.NoPut, watchNoPut) |
			flag(q.NoDelete, watchNoDelete) | flag(q.Fragment, watchFragment) | flag(q.Recorder, watchRecorder))
	}
	e.uvarint(uint64(len(r.Events)))
	for i := range r.Events {
		v := &r.Events[i]
		e.byte(flag(v.Delete, eventDelete) | flag(v.Prev != nil, eventPrev))
		e.kv(&v.KV)
		if v.Prev != nil {
			e.kv(v.Prev)
		}
	}
	if e.err != nil {
		return e.b, fmt.Errorf("encode a record of watch %d: %w", r.Watch, e.err)
	}
	return e.b, nil
}

// decodeWatch fills r from payload, reusing its slices.
func (d *decoder) decodeWatch(payload []byte, r *WatchRecord) error {
	d.begin(payload)
	r.Kind = WatchKind(d.enum(uint8(watchKinds)))
	asked := d.flags(1) != 0
	r.Watch, r.Client, r.Member = d.uvarint(), d.int32(), d.name()
	r.Time, r.Revision, r.MemberID, r.CompactRevision = d.varint(), d.varint(), d.uvarint(), d.varint()
	r.Error = d.string()
	r.Request = nil
	if asked {
		q := &WatchRequest{Key: d.name(), End: d.name(), Start: d.varint()}
		f := d.flags(watchFlags)
		q.Prev, q.Progress, q.NoPut = f&watchPrev != 0, f&watchProgress != 0, f&watchNoPut != 0
		q.NoDelete, q.Fragment, q.Recorder = f&watchNoDelete != 0, f&watchFragment != 0, f&watchRecorder != 0
		r.Request = q
	}
	r.Events = grow(r.Events, d.count())
	for i := range r.Events {
		v := &r.Events[i]
		f := d.flags(eventDelete | eventPrev)
		v.Delete = f&eventDelete != 0
		d.kv(&v.KV)
		switch {
		case f&eventPrev == 0:
			v.Prev = nil
		case v.Prev == nil:
			v.Prev = new(KV)
			fallthrough
		default:
			d.kv(v.Prev)
		}
	}
	return d.end()
}

package datadir

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/encoding/protowire"
)

var zeroes [4096]byte

// used gives how many bytes there are without the zeroes at the end, of which a
// segment that is allocated ahead has many megabytes.
func used(b []byte) int {
	for len(b) >= len(zeroes) && bytes.Equal(b[len(b)-len(zeroes):], zeroes[:]) {
		b = b[:len(b)-len(zeroes)]
	}
	return len(bytes.TrimRight(b, "\x00"))
}

// end looks at what follows the last record of a segment. Segments are cut to
// their length when the next one begins, and before that end in zeroes.
func (w *walReader) end(b []byte, pos int, last bool) bool {
	rest := used(b[pos:])
	// A length is a multiple of 8 bytes from the file's begin, so that no tear
	// goes through it, and none takes it without the rest of its sector.
	sectorEnd := min((pos/sector+1)*sector, len(b))
	if rest > 0 && (!last || used(b[pos:sectorEnd]) > 0) {
		w.damaged(b, pos, "its length is zero")
		return false
	}
	if last {
		w.tail(b, pos, pos)
	}
	return true
}

// damaged reports a record that no torn write explains, and stops there: the
// chain of CRCs is broken.
func (w *walReader) damaged(b []byte, pos int, reason string) {
	then := ""
	if at, found := resync(b[:used(b)], pos+frameHead, w.rep.WAL.Last); found {
		then = fmt.Sprintf("; the log goes on at byte %d", at)
	}
	w.problemAt(pos, KindRecord, "record %d at byte %d is damaged: %s%s", w.rep.WAL.Records, pos, reason, then)
}

// honest says whether a cut of the power can have left this in the last segment.
// A record that reaches beyond the file does so if the file's new length was
// lost; then its own fields still agree with its length.
func honest(b []byte, pos int, bad *frameError) bool {
	if bad.inFile {
		return tornSector(b, pos+frameHead, bad.end)
	}
	if len(b)-pos < frameHead {
		return true
	}
	head := binary.LittleEndian.Uint64(b[pos:])
	size, known := innerSize(b[pos+frameHead:])
	return !known || size == head&^(0xff<<56)
}

// innerSize is how long a record is by its own fields, whose last is the data.
func innerSize(b []byte) (size uint64, known bool) {
	rest := b
	for len(rest) > 0 {
		field, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return 0, len(rest) > 16
		}
		rest = rest[n:]
		_, n = protowire.ConsumeVarint(rest)
		if n < 0 || typ != protowire.VarintType && typ != protowire.BytesType {
			return 0, len(rest) > 16
		}
		if field == 3 && typ == protowire.BytesType {
			data, _ := protowire.ConsumeVarint(rest)
			return uint64(len(b)-len(rest)+n) + data, true
		}
		rest = rest[n:]
		if len(b)-len(rest) > 32 {
			return 0, true // fields of a record are few and short
		}
	}
	return 0, false
}

// tornSector is etcd's rule for a torn write: a whole sector of it, or what the
// record has of one, was never written.
func tornSector(b []byte, from, to int) bool {
	for from < to {
		end := min((from/sector+1)*sector, to)
		if used(b[from:end]) == 0 {
			return true
		}
		from = end
	}
	return false
}

// tail looks at what follows the end of the last segment. end is where a cut
// record would have ended; everything after must be untouched zeroes.
func (w *walReader) tail(b []byte, pos, end int) {
	to := used(b)
	at, beyond := end, to > end
	if end == len(b) && pos < end {
		at, beyond = resync(b[:to], pos+frameHead, w.rep.WAL.Last)
	}
	if beyond {
		w.rep.WAL.Beyond, w.rep.WAL.BeyondAt = true, int64(at)
		if w.rep.WAL.TornFile == "" {
			w.rep.WAL.TornFile, w.rep.WAL.TornAt = w.name, int64(pos)
		}
	}
}

// resync looks for a whole record after a damaged length: two whose CRCs are
// chained, or an entry that the last good one could be followed by.
func resync(b []byte, from int, last uint64) (at int, found bool) {
	for pos := (from + 7) &^ 7; len(b)-pos > frameHead; pos += 8 {
		r, bad := parseRecord(b, pos)
		if bad != nil || r.kind < recMetadata || r.kind > recSnapshot || r.crc == 0 {
			continue
		}
		if next, bad := parseRecord(b, r.end); bad == nil && next.kind != recCRC && len(next.data) > 0 &&
			crc32.Update(r.crc, castagnoli, next.data) == next.crc {
			return pos, true
		}
		var e entry
		if r.kind == recEntry && e.parse(r.data) == nil && e.term > 0 && e.index > last && e.index <= last+1<<20 {
			return pos, true
		}
	}
	return 0, false
}

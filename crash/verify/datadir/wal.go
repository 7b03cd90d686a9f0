package datadir

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Types of a WAL record: etcd's server/storage/wal.
const (
	recMetadata = 1 + iota
	recEntry
	recState
	recCRC
	recSnapshot
)

const (
	sector    = 512 // etcd's unit of a torn write
	frameHead = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// walReader reads all segments in order, checking the chain of CRCs that runs
// through them. etcd's own decoder is not used: it takes any damaged length in
// the last segment for a torn write, and what follows it as never written.
type walReader struct {
	rep      *Report
	name     string // of the segment, relative to the data directory
	crc      uint32
	chained  bool // crc is known: the first segment left after a purge starts anywhere
	metadata []byte
	started  bool // an entry or a snapshot was read
	state    hardState
	entry    func(e *entry, pos int)
}

// segment is one file of the WAL, by the numbers of its name.
type segment struct {
	seq, index uint64
	name       string
}

// problemAt is a problem of the record at a byte of the segment.
func (w *walReader) problemAt(pos int, kind, format string, args ...any) {
	w.rep.Problems = append(w.rep.Problems, Problem{File: w.name, Kind: kind, Offset: new(int64(pos)), Message: fmt.Sprintf(format, args...)})
}

func (w *walReader) problem(format string, args ...any) {
	w.rep.Problems = append(w.rep.Problems, Problem{File: w.name, Message: fmt.Sprintf(format, args...)})
}

// read goes through dir's WAL; entry is called for every entry in the order of
// the file, so that a later one of the same or a lower index replaces earlier.
func (w *walReader) read(dir string) error {
	w.name = filepath.Join("member", "wal")
	segments, err := listSegments(filepath.Join(dir, w.name))
	if err != nil {
		return err
	}
	if len(segments) == 0 {
		w.problem("there is no WAL segment")
		return nil
	}
	w.rep.WAL.Segments, w.rep.WAL.FirstSeq = len(segments), segments[0].seq
	var buf []byte
	for i, s := range segments {
		if i > 0 && s.seq != segments[i-1].seq+1 {
			w.problem("segment %d is missing: %s follows %s", segments[i-1].seq+1, s.name, segments[i-1].name)
			return nil
		}
		w.name = filepath.Join("member", "wal", s.name)
		if buf, err = readInto(buf, filepath.Join(dir, w.name)); err != nil {
			return err
		}
		if !w.segment(buf, i == len(segments)-1) {
			return nil
		}
	}
	return nil
}

func listSegments(dir string) ([]segment, error) {
	files, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	var segments []segment
	for _, f := range files {
		stem, isWAL := strings.CutSuffix(f.Name(), ".wal")
		seq, index, ok := strings.Cut(stem, "-")
		s, err1 := strconv.ParseUint(seq, 16, 64)
		n, err2 := strconv.ParseUint(index, 16, 64)
		if isWAL && ok && err1 == nil && err2 == nil {
			segments = append(segments, segment{s, n, f.Name()})
		}
	}
	slices.SortFunc(segments, func(a, b segment) int { return strings.Compare(a.name, b.name) })
	return segments, err
}

// readInto reads a whole file into buf, grown as needed. Mapping it would be no
// faster, and a fault in it would be fatal.
func readInto(buf []byte, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return buf, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return buf, err
	}
	if int64(cap(buf)) < info.Size() {
		buf = make([]byte, info.Size())
	}
	buf = buf[:info.Size()]
	_, err = io.ReadFull(f, buf)
	return buf, err
}

// record is one WAL record and where its frame ends.
type record struct {
	kind uint64
	crc  uint32
	data []byte
	end  int
}

// frameError says why bytes are no record; inFile is set when its length does
// not reach beyond the file.
type frameError struct {
	reason string
	end    int
	inFile bool
}

func parseRecord(b []byte, pos int) (r record, bad *frameError) {
	if len(b)-pos < frameHead {
		return r, &frameError{reason: "its length is cut off", end: len(b)}
	}
	head := binary.LittleEndian.Uint64(b[pos:])
	size, pad := head&^(0xff<<56), uint64(0)
	if int64(head) < 0 {
		pad = head >> 56 & 7
	}
	if size+pad > uint64(len(b)-pos-frameHead) {
		return r, &frameError{reason: fmt.Sprintf("its %d bytes reach beyond the file", size), end: len(b)}
	}
	body := b[pos+frameHead : pos+frameHead+int(size)]
	r.end = pos + frameHead + int(size+pad)
	err := Fields(body, func(field protowire.Number, num uint64, data []byte) error {
		switch field {
		case 1:
			r.kind = num
		case 2:
			r.crc = uint32(num)
		case 3:
			r.data = data
		}
		return nil
	})
	if err != nil {
		return r, &frameError{reason: err.Error(), end: r.end, inFile: true}
	}
	return r, nil
}

// segment reads one file and says whether the next one can be read.
func (w *walReader) segment(b []byte, last bool) bool {
	pos := 0
	for {
		if len(b)-pos >= frameHead && binary.LittleEndian.Uint64(b[pos:]) == 0 || len(b) == pos {
			return w.end(b, pos, last)
		}
		r, bad := parseRecord(b, pos)
		if bad == nil && r.kind != recCRC {
			if crc := crc32.Update(w.crc, castagnoli, r.data); crc != r.crc {
				bad = &frameError{reason: "its CRC does not match", end: r.end, inFile: true}
			} else {
				w.crc = crc
			}
		}
		if bad != nil {
			if last && honest(b, pos, bad) {
				w.rep.WAL.Torn, w.rep.WAL.TornFile, w.rep.WAL.TornAt = true, w.name, int64(pos)
				w.tail(b, pos, bad.end)
				return false
			}
			w.damaged(b, pos, bad.reason)
			return false
		}
		if !w.record(&r, pos) {
			return false
		}
		w.rep.WAL.Records++
		pos = r.end
	}
}

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

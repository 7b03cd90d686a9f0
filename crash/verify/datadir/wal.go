package datadir

import (
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

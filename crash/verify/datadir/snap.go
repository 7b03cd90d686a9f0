package datadir

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// readSnaps looks at member/snap: the snapshot files, those that etcd itself
// gave up on (*.snap.broken), and snapshot databases not yet taken into use.
func readSnaps(dir string, rep *Report) error {
	files, err := os.ReadDir(filepath.Join(dir, "member", "snap"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		name := f.Name()
		if stem, ok := strings.CutSuffix(name, ".snap.db"); ok {
			if index, err := strconv.ParseUint(stem, 16, 64); err == nil {
				rep.SnapDBs = append(rep.SnapDBs, index)
			}
			continue
		}
		stem, ok := strings.CutSuffix(strings.TrimSuffix(name, ".broken"), ".snap")
		term, index, dash := strings.Cut(stem, "-")
		t, err1 := strconv.ParseUint(term, 16, 64)
		i, err2 := strconv.ParseUint(index, 16, 64)
		if !ok || !dash || err1 != nil || err2 != nil {
			continue
		}
		s := Snap{Name: name, Term: t, Index: i}
		b, err := os.ReadFile(filepath.Join(dir, "member", "snap", name))
		if err != nil {
			return err
		}
		if strings.HasSuffix(name, ".broken") {
			s.Error = "etcd found it unreadable and put it aside"
		} else if err := checkSnap(b, t, i); err != nil {
			s.Error = err.Error()
		}
		rep.Snaps = append(rep.Snaps, s)
	}
	return nil
}

// checkSnap checks a snapshot file: snappb.Snapshot around raftpb.Snapshot.
func checkSnap(b []byte, term, index uint64) error {
	if len(b) == 0 {
		return errors.New("it is empty")
	}
	var crc uint32
	var data []byte
	err := Fields(b, func(field protowire.Number, num uint64, bytes []byte) error {
		switch field {
		case 1:
			crc = uint32(num)
		case 2:
			data = bytes
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(data) == 0 || crc == 0 {
		return errors.New("it holds no snapshot")
	}
	if crc32.Checksum(data, castagnoli) != crc {
		return errors.New("its CRC does not match")
	}
	var meta []byte
	if err := Fields(data, func(field protowire.Number, _ uint64, bytes []byte) error {
		if field == 2 {
			meta = bytes
		}
		return nil
	}); err != nil {
		return err
	}
	var gotTerm, gotIndex uint64
	if err := Fields(meta, func(field protowire.Number, num uint64, _ []byte) error {
		switch field {
		case 2:
			gotIndex = num
		case 3:
			gotTerm = num
		}
		return nil
	}); err != nil {
		return err
	}
	if gotTerm != term || gotIndex != index {
		return fmt.Errorf("it holds the snapshot of term %d, index %d", gotTerm, gotIndex)
	}
	return nil
}

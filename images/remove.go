package images

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// hexKey is a key or a prefix of one that is long enough to be meant as such.
var hexKey = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

// Remove removes the entry of that key (or of a prefix of it, 8 digits or
// more), all etcd builds of that version, or all artifacts of that kind, with
// all that was made of them, and gives how many it removed. Members that run
// from a removed build keep running. It fails with a Usage error if there is
// no such entry, and with a Build error if one is being made.
func (s *Store) Remove(what string) (n int, err error) {
	fail := func(kind Kind, reason, next string) (int, error) {
		return n, &Error{Kind: kind, Op: "remove image", Object: what, Reason: reason, Next: next}
	}
	entries, err := s.matching(what)
	if err != nil {
		return 0, err
	}
	if len(entries) == 0 {
		return fail(Usage, "no such image in "+s.dir, "`etcdlab images ls` shows what there is")
	}
	// What is made of others goes first: nothing is left without its origin.
	for _, entry := range slices.Backward(s.withMadeOf(entries)) {
		l, err := tryLock(s.locks(), filepath.Base(entry))
		if errors.Is(err, errLocked) {
			return fail(Build, "it is being built or removed", "try again when that is done")
		}
		if err != nil {
			return n, err
		}
		err = s.discard(entry)
		l.unlock()
		if err != nil {
			return n, fmt.Errorf("remove image %s: %w", filepath.Base(entry), err)
		}
		n++
	}
	return n, nil
}

// matching gives the directories of the entries that are meant. By key it also
// finds broken entries, so that they can be removed.
func (s *Store) matching(what string) (entries []string, err error) {
	if hexKey.MatchString(what) {
		for _, where := range []string{s.images(), s.made()} {
			dirs, err := os.ReadDir(where)
			if err != nil {
				return nil, err
			}
			for _, d := range dirs {
				if strings.HasPrefix(d.Name(), what) {
					entries = append(entries, filepath.Join(where, d.Name()))
				}
			}
		}
		return entries, nil
	}
	artifacts, err := s.Artifacts()
	if err != nil {
		return nil, err
	}
	for _, a := range artifacts {
		if a.Kind == what {
			entries = append(entries, a.Dir)
		}
	}
	if entries != nil {
		return entries, nil
	}
	version, err := NormalizeVersion(what)
	if err != nil {
		return nil, err
	}
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	for _, img := range all {
		if img.Version == version {
			entries = append(entries, img.Dir)
		}
	}
	return entries, nil
}

// withMadeOf appends what was made of the entries, and of that, and so on.
func (s *Store) withMadeOf(entries []string) []string {
	artifacts, err := s.Artifacts()
	if err != nil {
		return entries
	}
	for i := 0; i < len(entries); i++ {
		for _, a := range artifacts {
			if slices.Contains(a.Of, filepath.Base(entries[i])) && !slices.Contains(entries, a.Dir) {
				entries = append(entries, a.Dir)
			}
		}
	}
	return entries
}

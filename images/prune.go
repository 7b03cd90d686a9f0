package images

import (
	"path/filepath"
	"slices"
	"time"
)

const (
	keepReplaced = 1         // of what was made of other sources of etcdlab
	stillInUse   = time.Hour // somebody may have just been given its path
)

// Prune removes what the new artifact replaces: of the same kind, name and
// architecture, but of another source of etcdlab. Each is remade in seconds
// when wanted, is large, and nobody would ever remove it. What others were
// made of stays.
func (s *Store) Prune(now Artifact) {
	all, err := s.Artifacts() // of one kind and name the newest first
	if err != nil {
		return
	}
	n := 0
	for _, a := range all {
		used := slices.ContainsFunc(all, func(b Artifact) bool { return slices.Contains(b.Of, a.Key) })
		if a.Kind != now.Kind || a.Name != now.Name || a.Arch != now.Arch || a.Key == now.Key || used {
			continue
		}
		if n++; n <= keepReplaced || now.Created.Sub(a.Created) < stillInUse {
			continue
		}
		if l, err := tryLock(s.locks(), a.Key); err == nil {
			_ = s.discard(filepath.Join(s.made(), a.Key))
			l.unlock()
		}
	}
}

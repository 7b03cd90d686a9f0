package verify

import (
	"fmt"
	"strings"
)

// index makes operations findable by id: an array while ids are about as many
// as operations, which they are unless someone made the history by hand.
func (h *ops) index() {
	top := uint64(0)
	for i := range h.all {
		top = max(top, uint64(h.all[i].id))
	}
	if top <= uint64(len(h.all))*4+1024 {
		h.dense = make([]int32, top+1)
	} else {
		h.byID = make(map[uint64]int32, len(h.all))
	}
	for i := range h.all {
		id := uint64(h.all[i].id)
		if h.find(id) >= 0 && h.malformed == "" {
			h.malformed = fmt.Sprintf("operation %d is in it twice", id)
		}
		if h.dense != nil {
			h.dense[id] = int32(i) + 1
		} else {
			h.byID[id] = int32(i)
		}
	}
}

// keyTable numbers keys. Number 0 is the empty key: no end, or none at all.
type keyTable struct {
	ids   map[string]uint32
	names []string
}

func newKeyTable() *keyTable {
	return &keyTable{ids: map[string]uint32{"": 0}, names: []string{""}}
}

func (t *keyTable) id(key string) uint32 {
	if id, ok := t.ids[key]; ok {
		return id
	}
	id := uint32(len(t.names))
	key = strings.Clone(key)
	t.ids[key] = id
	t.names = append(t.names, key)
	return id
}

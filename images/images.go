// Package images owns etcd's binaries: it builds any release from the Go
// module proxy, or a local tree, with failpoints compiled in, and keeps the
// results in a content-addressed cache.
package images

import "time"

// DefaultVersion is what is used where nothing else is said.
const DefaultVersion = "v3.7.3"

// Request says what to build. Exactly one of Version and Source is set.
type Request struct {
	Version         string  // v3.5.0 or later, with or without the v
	Source          string  // a local etcd tree
	NoFailpoints    bool    // leave the server's failpoints as comments
	BboltFailpoints bool    // compile bbolt's failpoints in too
	Patches         []Patch // applied in this order, before failpoints are compiled in
	Arch            string  // GOARCH of the members' hosts; this machine's if empty
}

// Image is one cache entry; its JSON form is the entry's manifest.
type Image struct {
	Key             string            `json:"key"` // hex, of all the inputs
	Version         string            `json:"version"`
	Source          string            `json:"source,omitempty"`
	Tools           map[string]string `json:"tools,omitempty"` // versions of etcdctl and etcdutl, if not Version
	Dir             string            `json:"dir"`
	Binaries        map[string]string `json:"binaries"` // etcd, etcdctl, etcdutl: absolute paths
	Failpoints      []Failpoint       `json:"failpoints"`
	BboltFailpoints bool              `json:"bboltFailpoints"`
	Patches         []string          `json:"patches,omitempty"` // what they were called
	Go              string            `json:"go"`
	Gofail          string            `json:"gofail"`
	OS              string            `json:"os"`
	Arch            string            `json:"arch"`
	Size            int64             `json:"size"` // bytes
	Created         time.Time         `json:"created"`

	Inputs Inputs `json:"inputs"` // what Key is the hash of
}

// Failpoint is one gofail point in a binary. Name is as its HTTP endpoint
// lists it: gofail v0.2.0 does not put the package in front.
type Failpoint struct {
	Name    string `json:"name"`
	Package string `json:"package"`
	File    string `json:"file"` // relative to its module
	Type    string `json:"type"` // string, struct{}, ...
}

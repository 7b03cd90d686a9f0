// Package etcdlab owns its own source: what the agent is built from, for any
// host, wherever the controller runs. It imports nothing of the module.
package etcdlab

import "embed"

// Source is the module as far as cmd/etcdlab needs it, and its tests.
//
//go:embed go.mod go.sum source.go cmd crash disk images internal lab
var Source embed.FS

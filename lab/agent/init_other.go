//go:build !linux

package agent

import "context"

// Boot does nothing: guests run Linux.
func Boot(context.Context) {}

package disk

import (
	"errors"
	"syscall"
)

// broke notes that an operation failed because the machine could not keep the
// disk's files, as when its own disk is full: it is not what an armed fault does,
// and whoever judges what the disk's user made of it has to know.
func (e *Engine) broke(err error) {
	if err == nil || errors.As(err, new(*FaultError)) || errors.Is(err, syscall.EINVAL) {
		return
	}
	why := err.Error()
	e.broken.CompareAndSwap(nil, &why)
}

// Broken is the first failure of the disk's own files since it was opened or
// SetFaults was called, "" if there was none. It waits for nothing.
func (e *Engine) Broken() string {
	if why := e.broken.Load(); why != nil {
		return *why
	}
	return ""
}

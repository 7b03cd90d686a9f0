package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-multierror"
)

// sameInterrupt is how long after an interrupt another is the same one: on a busy
// machine, who sends both may have to wait in between.
const sameInterrupt = 100 * time.Millisecond

// undoHint is the command that removes what this one leaves when a second
// interrupt stops it at once; without one there is nothing to remove.
var undoHint atomic.Pointer[string]

// leaves says that from now on `down` of the lab is what undoes this command.
func leaves(name string) {
	hint := "etcdlab down " + name
	undoHint.Store(&hint)
}

// interruptible cancels at the first interrupt, so that what was begun is
// undone; at the second it stops at once and says how to undo the rest. A
// terminal that goes away is an interrupt, too.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A reader that goes away (`| head`) must not end a command that has a lab
	// to take down. Where the signal is asked for, writes only fail.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		if _, ok := <-signals; !ok {
			return
		}
		// timeout(1) and the like signal a command and then its group, which is one
		// interrupt.
		for same := time.After(sameInterrupt); same != nil; {
			select {
			case _, ok := <-signals:
				if !ok {
					return
				}
			case <-same:
				same = nil
			}
		}
		if undoHint.Load() != nil {
			fmt.Fprintln(os.Stderr, "etcdlab: interrupted; ending in good order (interrupt again to stop at once)")
		}
		cancel()
		if _, ok := <-signals; !ok {
			return
		}
		if hint := undoHint.Load(); hint != nil {
			fmt.Fprintf(os.Stderr, "etcdlab: stopped; run `%s` to remove what is left\n", *hint)
		}
		os.Exit(codeInterrupted)
	}()
	return ctx, func() { signal.Stop(signals); close(signals); cancel() }
}

// besidesInterrupt gives what of an error is not the interrupt itself, arriving
// by one way or another.
func besidesInterrupt(err error) []error {
	var parts []error
	switch e := err.(type) {
	case nil:
		return nil
	case *multierror.Error:
		parts = e.WrappedErrors()
	case interface{ Unwrap() []error }:
		parts = e.Unwrap()
	default:
		if !errors.Is(err, context.Canceled) {
			return []error{err}
		}
		parts = []error{errors.Unwrap(err)}
	}
	var others []error
	for _, p := range parts {
		others = append(others, besidesInterrupt(p)...)
	}
	return others
}

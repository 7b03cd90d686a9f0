// Package undo owns the stack of things to take back when an operation of many
// steps fails: register the undo before you act, unwind last-in-first-out.
package undo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"
)

// Deadline bounds a whole Unwind.
const Deadline = 30 * time.Second

// Stack is a list of undo steps. The zero value is ready; it is safe for
// concurrent use, so that members prepared in parallel share one.
type Stack struct {
	mu    sync.Mutex
	steps []step
}

type step struct {
	name string
	do   func(context.Context) error
}

// Push registers the undo of what is about to be done. It must tolerate that
// the thing was never made.
func (s *Stack) Push(name string, do func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, step{name, do})
}

// Release forgets every step: the operation succeeded.
func (s *Stack) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = nil
}

// Unwind runs the steps, last first, and empties the stack. A failing step does
// not stop the others; all errors come back together, each with its step's
// name. The steps do not inherit ctx's cancellation, which is often the very
// reason to unwind, but share one Deadline.
func (s *Stack) Unwind(ctx context.Context) error {
	s.mu.Lock()
	steps := s.steps
	s.steps = nil
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	var all *multierror.Error
	for _, st := range slices.Backward(steps) {
		if err := st.do(ctx); err != nil {
			all = multierror.Append(all, fmt.Errorf("undo %s: %w", st.name, err))
		}
	}
	return all.ErrorOrNil()
}

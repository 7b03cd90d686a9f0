// Package each owns doing the same for every member at once.
package each

import (
	"errors"
	"sync"
)

// Do runs do for every index at once and waits for all; the errors come
// together.
func Do(n int, do func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = do(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

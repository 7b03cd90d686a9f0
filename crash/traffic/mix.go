package traffic

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// Operation is one kind of what clients do.
type Operation struct {
	Name string
	Doc  string
	step step
}

// step does one operation, or a few that belong together, and says whether the
// client goes on.
type step func(*client, context.Context) bool

// operations is filled by init: the steps refer back to it through the client.
var operations []Operation

func init() {
	operations = slices.Concat(writes, reads, transactions, leaseOperations, lockOperations, kubernetesOperations, memberOperations)
}

// Operations lists what a Mix can name.
func Operations() []Operation { return slices.Clone(operations) }

// maxWeight keeps sums of weights far from an overflow.
const maxWeight = 1_000_000

func checkMix(mix map[string]int) error {
	total := 0
	for _, name := range slices.Sorted(maps.Keys(mix)) {
		if findOperation(name) == nil {
			return fmt.Errorf("unknown operation %q; the operations are %s", name, strings.Join(operationNames(), ", "))
		}
		if w := mix[name]; w < 0 || w > maxWeight {
			return fmt.Errorf("operation %s has weight %d: must be 0 to %d", name, w, maxWeight)
		}
		total += mix[name]
	}
	if len(mix) > 0 && total == 0 {
		return fmt.Errorf("no operation has a weight")
	}
	return nil
}

func operationNames() []string {
	var names []string
	for _, o := range operations {
		names = append(names, o.Name)
	}
	return names
}

func findOperation(name string) *Operation {
	for i := range operations {
		if operations[i].Name == name {
			return &operations[i]
		}
	}
	return nil
}

// weighted is a mix to draw from.
type weighted struct {
	steps   []step
	weights []int
	total   int
}

// newWeighted takes a mix that was checked, in an order that does not depend on
// the map: the same seed must draw the same again.
func newWeighted(mix map[string]int) weighted {
	var w weighted
	for _, o := range operations {
		if n := mix[o.Name]; n > 0 {
			w.steps, w.weights = append(w.steps, o.step), append(w.weights, n)
			w.total += n
		}
	}
	return w
}

func (w weighted) draw(r *rand.Rand) step {
	n := r.IntN(w.total)
	for i, weight := range w.weights {
		if n -= weight; n < 0 {
			return w.steps[i]
		}
	}
	panic("unreachable: the weights sum to total")
}

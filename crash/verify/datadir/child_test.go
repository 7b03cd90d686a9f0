package datadir

import (
	"context"
	"testing"
	"time"
)

// A child whose stream cannot be read to its end must not wait for it to be, and
// nobody for the child: a length that is too much, and then more than a pipe holds.
func TestChildWhoseStreamIsNotRead(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, first := range []string{`\001\377\377\377\377\377\377\377\377\177`, `\000`, ``} {
		_, err := Inspect(ctx, []string{"sh", "-c", "printf '" + first + "'; head -c 1000000 /dev/zero", "sh"}, Query{Dir: "nowhere"})
		if err == nil || ctx.Err() != nil {
			t.Errorf("%q: %v", first, err)
		}
	}
}

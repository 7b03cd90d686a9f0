package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
)

// What an interrupt did to each step is not told, what else went wrong is.
func TestBesidesInterrupt(t *testing.T) {
	stop, bad := context.Canceled, errors.New("the undo failed")
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{stop, ""},
		{bad, "the undo failed"},
		{fmt.Errorf("round 1: %w", stop), ""},
		{errors.Join(stop, bad), "the undo failed"},
		{fmt.Errorf("round 1: %w", errors.Join(stop, fmt.Errorf("heal: %w", bad))), "heal: the undo failed"},
		{fmt.Errorf("all: %w", &multierror.Error{Errors: []error{fmt.Errorf("m1: %w", stop), fmt.Errorf("m2: %w", bad)}}), "m2: the undo failed"},
	} {
		var got []string
		for _, e := range besidesInterrupt(c.err) {
			got = append(got, e.Error())
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%v: %q, want %q", c.err, s, c.want)
		}
	}
}

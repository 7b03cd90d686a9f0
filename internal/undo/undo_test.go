package undo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestUnwindIsLastInFirstOutAndComplete(t *testing.T) {
	var s Stack
	var ran []string
	boom := errors.New("boom")
	for _, name := range []string{"a", "b", "c"} {
		s.Push(name, func(ctx context.Context) error {
			if ctx.Err() != nil {
				t.Errorf("%s was given a cancelled context", name)
			}
			if _, ok := ctx.Deadline(); !ok {
				t.Errorf("%s was given no deadline", name)
			}
			ran = append(ran, name)
			if name == "b" {
				return boom
			}
			return nil
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := s.Unwind(ctx)
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "undo b") {
		t.Errorf("got error %v, want boom of step b", err)
	}
	if !slices.Equal(ran, []string{"c", "b", "a"}) {
		t.Errorf("ran %v", ran)
	}
	if err := s.Unwind(ctx); err != nil || len(ran) != 3 {
		t.Errorf("a second unwind did something: %v %v", err, ran)
	}
}

func TestReleaseForgets(t *testing.T) {
	var s Stack
	s.Push("x", func(context.Context) error { return errors.New("ran") })
	s.Release()
	if err := s.Unwind(context.Background()); err != nil {
		t.Error(err)
	}
}

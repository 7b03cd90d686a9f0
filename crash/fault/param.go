package fault

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/lab/spec"
)

// Param is a parameter of a fault.
type Param struct {
	Name    string
	Doc     string
	Type    Type
	Default string // as it is written; "" is none, or what Doc says
}

// Type is what a parameter may be.
type Type struct {
	Name  string   // duration, count, percent, size, word, text
	Words []string // of a word: what it may be
	check func(string) error
}

// Check says what is wrong with a value.
func (t Type) Check(value string) error { return t.check(value) }

// maxFor bounds the durations of faults.
const maxFor = 24 * time.Hour

// duration is more than 0, in the form of time.ParseDuration.
func duration() Type {
	return Type{Name: "duration", check: func(s string) error {
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("%q is not a duration, such as 500ms or 5s", s)
		}
		if d <= 0 || d > maxFor {
			return fmt.Errorf("%s must be more than 0 and at most %v", s, maxFor)
		}
		return nil
	}}
}

// count is a whole number of at least from.
func count(from int) Type {
	return Type{Name: "count", check: func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n > math.MaxInt32 {
			return fmt.Errorf("%q is not a whole number", s)
		}
		if n < from {
			return fmt.Errorf("%d must be at least %d", n, from)
		}
		return nil
	}}
}

// percent is 0% to 100%, with or without the sign.
func percent() Type {
	return Type{Name: "percent", check: func(s string) error {
		_, err := parsePercent(s)
		return err
	}}
}

func parsePercent(s string) (float64, error) {
	f, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !(f >= 0 && f <= 100) { // NaN is neither
		return 0, fmt.Errorf("%q is not 0%% to 100%%", s)
	}
	return f / 100, nil
}

// size is a number of bytes, more than 0.
func size() Type {
	return Type{Name: "size", check: func(s string) error {
		n, err := spec.ParseSize(s)
		if err == nil && n == 0 {
			err = errors.New("must be more than 0")
		}
		return err
	}}
}

// word is one of a few.
func word(words ...string) Type {
	return Type{Name: "word", Words: words, check: func(s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("it cannot be %q%s", s, spec.DidYouMean(s, words))
		}
		return nil
	}}
}

// text is anything that check accepts; nil is anything.
func text(check func(string) error) Type {
	if check == nil {
		check = func(string) error { return nil }
	}
	return Type{Name: "text", check: check}
}

// Args are the parameters of one application of a fault, checked. What was not
// said and has no default is the zero value.
type Args struct {
	kind *Kind
	said map[string]string
}

// Text is a parameter as it was written.
func (a Args) Text(name string) string {
	if v, ok := a.said[name]; ok {
		return v
	}
	p := a.kind.param(name)
	if p == nil {
		panic("fault " + a.kind.Name + " asks for its parameter " + name + ", which the catalogue does not have")
	}
	return p.Default
}

func (a Args) Duration(name string) time.Duration {
	d, _ := time.ParseDuration(a.Text(name))
	return d
}

func (a Args) Count(name string) int {
	n, _ := strconv.Atoi(a.Text(name))
	return n
}

// Share is a percentage, 0 to 1.
func (a Args) Share(name string) float64 {
	f, _ := parsePercent(a.Text(name))
	return f
}

// Bytes is a size.
func (a Args) Bytes(name string) int64 {
	n, _ := spec.ParseSize(a.Text(name))
	return int64(n)
}

package spec

import (
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Traffic is the load of a scenario: a profile by name, and what is to be
// otherwise than in it. What is nil or empty is the profile's. What names there
// are is for package crash to say.
type Traffic struct {
	Profile string         `yaml:"profile,omitempty"`
	Weights map[string]int `yaml:"weights,omitempty"` // of operations; 0 takes one out
	Sizes   []SizeWeight   `yaml:"-"`                 // of values
	// WatchFrom weighs the revisions that watches begin at.
	WatchFrom map[string]int `yaml:"watchFrom,omitempty"`

	Rate           *int           `yaml:"rate,omitempty"`
	Clients        *int           `yaml:"clients,omitempty"`
	PerMember      *int           `yaml:"perMember,omitempty"`
	Keys           *int           `yaml:"keys,omitempty"`
	Leases         *int           `yaml:"leases,omitempty"`
	Watchers       *int           `yaml:"watchers,omitempty"`
	SlowWatchers   *int           `yaml:"slowWatchers,omitempty"`
	CompactBehind  *int           `yaml:"compactBehind,omitempty"`
	LeaseTTLs      []int          `yaml:"leaseTTLs,omitempty"` // seconds
	CompactEvery   *time.Duration `yaml:"compactEvery,omitempty"`
	HashEvery      *time.Duration `yaml:"hashEvery,omitempty"`
	DefragEvery    *time.Duration `yaml:"defragEvery,omitempty"`
	SnapshotEvery  *time.Duration `yaml:"snapshotEvery,omitempty"`
	AuthEvery      *time.Duration `yaml:"authEvery,omitempty"`
	Auth           *bool          `yaml:"auth,omitempty"`
	CompactDeletes *bool          `yaml:"compactDeletes,omitempty"`
}

// SizeWeight is how often values of one size are written.
type SizeWeight struct {
	Size   Size
	Weight int
}

// Changes says whether anything is to be otherwise than in the profile.
func (t *Traffic) Changes() bool { return !reflect.DeepEqual(*t, Traffic{Profile: t.Profile}) }

// traffic is a profile's name, or a mapping.
func (d *decoder) traffic(t *Traffic) field {
	return func(n ast.Node, path string) {
		if _, ok := n.(ast.MapNode); !ok {
			if _, ok := text(n); !ok {
				d.fail(n, path, "traffic must be a profile's name or a mapping, not %s", describe(n))
				return
			}
			d.string(&t.Profile)(n, path)
			return
		}
		d.mapping(n, path, fields{
			"profile":   d.string(&t.Profile),
			"weights":   d.weights(&t.Weights),
			"sizes":     d.sizes(&t.Sizes),
			"watchFrom": d.weights(&t.WatchFrom),
			"rate":      d.whole(&t.Rate), "clients": d.whole(&t.Clients), "perMember": d.whole(&t.PerMember), "keys": d.whole(&t.Keys),
			"leases": d.whole(&t.Leases), "leaseTTLs": d.wholes(&t.LeaseTTLs),
			"watchers": d.whole(&t.Watchers), "slowWatchers": d.whole(&t.SlowWatchers),
			"compactEvery": d.every(&t.CompactEvery), "compactBehind": d.whole(&t.CompactBehind),
			"hashEvery": d.every(&t.HashEvery), "defragEvery": d.every(&t.DefragEvery), "snapshotEvery": d.every(&t.SnapshotEvery),
			"auth":           func(n ast.Node, path string) { t.Auth = new(bool); d.bool(t.Auth)(n, path) },
			"compactDeletes": func(n ast.Node, path string) { t.CompactDeletes = new(bool); d.bool(t.CompactDeletes)(n, path) },
			"authEvery":      d.every(&t.AuthEvery),
		})
	}
}

// natural is a number of at least 0.
func (d *decoder) natural(i *int) field {
	return func(n ast.Node, path string) {
		found := len(d.problems)
		if d.int(i)(n, path); *i < 0 && len(d.problems) == found {
			d.fail(n, path, "%s must not be less than 0: %s", last(path), strconv.Itoa(*i))
		}
	}
}

// whole is a natural number that may be unsaid.
func (d *decoder) whole(i **int) field {
	return func(n ast.Node, path string) {
		*i = new(int)
		d.natural(*i)(n, path)
	}
}

func (d *decoder) wholes(l *[]int) field {
	return func(n ast.Node, path string) {
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			d.fail(n, path, "%s must be a list, not %s", last(path), describe(n))
			return
		}
		*l = make([]int, len(seq.Values))
		for i, v := range seq.Values {
			d.value(v, fmt.Sprintf("%s[%d]", path, i), d.count(&(*l)[i]))
		}
	}
}

func (d *decoder) weights(m *map[string]int) field {
	return func(n ast.Node, path string) {
		if !d.over || *m == nil {
			*m = map[string]int{}
		}
		d.pairs(n, path, func(key string, at *ast.MappingValueNode) {
			d.value(at.Value, join(path, key), func(n ast.Node, path string) {
				var weight int
				d.natural(&weight)(n, path)
				(*m)[key] = weight
			})
			d.places[join(path, key)] = start(at) // what is wrong is the name more often
		})
	}
}

// sizes is a mapping of sizes to weights: {128: 90, 32KiB: 10}.
func (d *decoder) sizes(l *[]SizeWeight) field {
	return func(n ast.Node, path string) {
		d.pairs(n, path, func(key string, at *ast.MappingValueNode) {
			var s SizeWeight
			var err error
			if s.Size, err = ParseSize(key); err != nil {
				d.fail(at, join(path, key), "%v", err)
				return
			}
			d.value(at.Value, join(path, key), d.natural(&s.Weight))
			*l = append(*l, s)
		})
	}
}

// duration is a length of time of more than 0.
func (d *decoder) duration(t *time.Duration) field {
	return func(n ast.Node, path string) {
		found := len(d.problems)
		if d.time(t)(n, path); *t == 0 && len(d.problems) == found {
			d.fail(n, path, "%s must be more than 0", last(path))
		}
	}
}

// every is a length of time that may be unsaid; 0 is never.
func (d *decoder) every(t **time.Duration) field {
	return func(n ast.Node, path string) {
		*t = new(time.Duration)
		d.time(*t)(n, path)
	}
}

func (d *decoder) time(t *time.Duration) field {
	return func(n ast.Node, path string) {
		v, _ := text(n)
		parsed, err := time.ParseDuration(v)
		if err != nil || parsed < 0 {
			d.fail(n, path, "%s must be a length of time such as 10m or 500ms, not %s", last(path), describe(n))
			return
		}
		*t = parsed
	}
}

package images

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"syscall"
)

// plan is a request with all its inputs known.
type plan struct {
	req    Request
	in     Inputs
	goTool *goTool // nil if there is no go command
	source *source // of a tree, nil for a release
}

func (s *Store) plan(ctx context.Context, r Request) (plan, error) {
	p := plan{req: r}
	bad := func(reason, next string) (plan, error) {
		return plan{}, &Error{Kind: Usage, Op: "build image of", Object: r.object(), Reason: reason, Next: next}
	}
	if (r.Version == "") == (r.Source == "") {
		return bad("want either a version or a source tree", "name exactly one")
	}
	if r.NoFailpoints && r.BboltFailpoints {
		return bad("bbolt's failpoints without the server's are not supported", "leave out one of the two options")
	}
	if p.req.Arch == "" {
		p.req.Arch = runtime.GOARCH
	}
	p.in = Inputs{Failpoint: !r.NoFailpoints, Bbolt: r.BboltFailpoints, Patches: hashPatches(r.Patches), OS: imageOS, Arch: p.req.Arch, Recipe: recipeRevision}
	if !r.NoFailpoints {
		p.in.Gofail = gofailVersion
	}
	var err error
	if r.Source != "" {
		if p.source, err = openSource(ctx, r.Source); err != nil {
			return plan{}, err
		}
		p.in.Tree = p.source.hash
	} else if p.in.Version, err = NormalizeVersion(r.Version); err != nil {
		return plan{}, err
	}
	p.goTool, err = findGo()
	if errors.Is(err, errNoGo) {
		return p, nil // what is in the cache can still be used
	}
	if err != nil {
		return plan{}, &Error{Kind: Environment, Op: "find", Object: "go command", Reason: "cannot tell its version", Err: err}
	}
	p.in.Go, p.in.Toolchain, p.in.Experiment = p.goTool.version, p.goTool.toolchain, p.goTool.experiment
	return p, nil
}

// object is how messages name what is requested.
func (r Request) object() string {
	if r.Source != "" {
		return "etcd in " + r.Source
	}
	return "etcd " + r.Version
}

func (p plan) fail(kind Kind, reason, next string) *Error {
	return &Error{Kind: kind, Op: "build image of", Object: p.req.object(), Reason: reason, Next: next}
}

func (p plan) because(err error, kind Kind, reason, next string) *Error {
	e := p.fail(kind, reason, next)
	e.Err = err
	return e
}

func (p plan) noGo() *Error {
	return p.because(errNoGo, Environment, "it is not in the cache", "install Go, or copy the cache from a machine that has it")
}

// wrap makes an *Error of a failure that is none yet.
func (p plan) wrap(err error) error { return wrap(err, p.fail) }

// wrap makes an *Error of a failure that is none yet. A full disk is recognised
// wherever it shows; a context's end stays what it is.
func wrap(err error, fail func(kind Kind, reason, next string) *Error) error {
	var ours *Error
	is := errors.As(err, &ours)
	var e *Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), is && strings.Contains(ours.Output, "no space left on device"):
		e = fail(Environment, "the disk is full", "make room; a build takes about 1 GB in the image cache and in Go's caches")
	case is:
		return err
	default:
		e = fail(Build, "the image cache cannot be written", "check the cache directory")
	}
	e.Err = err
	return e
}

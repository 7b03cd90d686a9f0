package main

import (
	"errors"
	"os"

	"github.com/etcdlab/etcdlab/images"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/doctor"
	"github.com/etcdlab/etcdlab/lab/failpoint"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// classify gives the exit code of an error that carries none of its own.
func classify(err error) int {
	if e, ok := errors.AsType[*images.Error](err); ok {
		switch e.Kind {
		case images.Usage:
			return codeUsage
		case images.Environment:
			return codeEnvironment
		}
		return codeInternal
	}
	if notRoot(err) {
		return codeEnvironment
	}
	switch {
	case is[*spec.Error](err), is[*lab.UsageError](err), is[*failpoint.UnknownError](err), is[*failpoint.RefusedError](err), is[*lab.SpecChangedError](err), errors.Is(err, lab.ErrNotFound):
		return codeUsage
	case is[*lab.EnvironmentError](err), is[*doctor.MissingError](err), is[*lab.UnsupportedError](err):
		return codeEnvironment
	}
	return codeInternal
}

// notRoot says that an error is of what only root may do.
func notRoot(err error) bool { return errors.Is(err, os.ErrPermission) && os.Geteuid() != 0 }

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

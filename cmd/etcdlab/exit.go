package main

import (
	"errors"

	"github.com/etcdlab/etcdlab/crash/verify"
)

// Exit codes; see the README.
const (
	codeFail         = 1 // a violation was found
	codeUsage        = 2
	codeEnvironment  = 3 // something is missing here
	codeInconclusive = 4
	codeInternal     = 5 // the tool or its infrastructure failed
	codeInterrupted  = 130
)

// codedError carries an exit code.
type codedError struct {
	code int
	error
}

func (e codedError) Unwrap() error { return e.error }

func withCode(code int, err error) error {
	if err == nil || errors.As(err, new(codedError)) {
		return err
	}
	return codedError{code, err}
}

// quietError is an exit code without a message: the output has said it all.
type quietError struct{ codedError }

func exitCode(err error) int {
	if q, ok := errors.AsType[quietError](err); ok {
		return q.code
	}
	if c, ok := errors.AsType[codedError](err); ok {
		return c.code
	}
	return classify(err)
}

// verdictError is the exit code that a verdict asks for.
func verdictError(r verify.Result) error {
	code := map[verify.Result]int{
		verify.Pass: 0, verify.Fail: codeFail, verify.Inconclusive: codeInconclusive,
	}
	c, known := code[r]
	if !known {
		c = codeInternal
	}
	if c == 0 {
		return nil
	}
	return quietError{codedError{c, errors.New(string(r))}}
}

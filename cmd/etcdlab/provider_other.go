//go:build !linux

package main

import (
	"context"
	"errors"

	"github.com/etcdlab/etcdlab/lab"
)

// What is near the kernel runs on Linux; elsewhere a lab is in Docker's machine.
var errLinux = errors.New("providers process and vm need Linux; use --provider docker")

func newProcess(*output) (lab.Provider, error) { return nil, withCode(codeEnvironment, errLinux) }
func newVM(*output) (lab.Provider, error)      { return nil, withCode(codeEnvironment, errLinux) }

func agentMain(context.Context, []string) error   { return withCode(codeEnvironment, errLinux) }
func vmAgentMain(context.Context, []string) error { return withCode(codeEnvironment, errLinux) }

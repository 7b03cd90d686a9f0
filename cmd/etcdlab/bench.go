package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash/bench"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// measurements that `bench` knows; the last two are of provider process alone.
var measurements = []string{"up", "rounds", "disk", "tmpfs"}

func newBench() *cobra.Command {
	var turns, rounds int
	var load time.Duration
	var only string
	var on []string
	cmd := &cobra.Command{Use: "bench", Short: "Measure what docs/benchmarks.md quotes", Hidden: true, Args: cobra.NoArgs}
	cmd.Flags().IntVar(&turns, "turns", 3, "turns of each measurement")
	cmd.Flags().IntVar(&rounds, "rounds", 20, "rounds of power loss")
	cmd.Flags().DurationVar(&load, "load", 3*time.Second, "load of one turn")
	cmd.Flags().StringVar(&only, "only", "", strings.Join(measurements, ", "))
	cmd.Flags().StringSliceVar(&on, "provider", []string{"process"}, "providers to measure in one run, beside bare etcds if docker is one")
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if only != "" && !slices.Contains(measurements, only) {
			return withCode(codeUsage, fmt.Errorf("unknown measurement %q; it is one of %s", only, strings.Join(measurements, ", ")))
		}
		for _, name := range on {
			b, err := newBenchOf(cmd.Context(), name, o)
			if err != nil {
				return err
			}
			b.Turns, b.Load = turns, load
			if err := measure(cmd.Context(), b, only, rounds, o.out); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func newBenchOf(ctx context.Context, name string, o *output) (*bench.Bench, error) {
	s := &spec.Lab{Provider: name, Members: spec.Count(1)}
	s.Default()
	p, err := provider(ctx, s, o)
	if err != nil {
		return nil, err
	}
	built, err := build(ctx, s, p, o)
	if err != nil {
		return nil, err
	}
	return &bench.Bench{Provider: p, Binaries: built["m1"], Progress: o.progress}, nil
}

func measure(ctx context.Context, b *bench.Bench, only string, rounds int, w io.Writer) error {
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	for _, m := range []struct {
		name string
		is   bool
		run  func() error
	}{
		{"up", true, func() error { return b.Up(ctx, w) }},
		{"up", b.Binaries.Container != nil, func() error { return b.BareDocker(ctx, w, b.Binaries.Container.ID) }},
		{"rounds", true, func() error { return b.Rounds(ctx, w, rounds) }},
		{"disk", b.Provider.Name() == "process", func() error { return b.Puts(ctx, w, "a disk", filepath.Clean(home)) }},
		{"tmpfs", b.Provider.Name() == "process", func() error { return b.Puts(ctx, w, "tmpfs", "/dev/shm") }},
	} {
		if !m.is || only != "" && only != m.name {
			continue
		}
		if err := m.run(); err != nil {
			return fmt.Errorf("measure %s of provider %s: %w", m.name, b.Provider.Name(), err)
		}
	}
	return nil
}

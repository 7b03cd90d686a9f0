package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/mod/semver"

	"github.com/etcdlab/etcdlab/crash"
	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/crash/report"
	"github.com/etcdlab/etcdlab/crash/verify"
	"github.com/etcdlab/etcdlab/images"
	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// huntBench is what a hunt plays on: labs of one provider.
type huntBench struct{ provider lab.Provider }

// silent is the output of commands inside a hunt: a line of each would be too much.
func silent() *output {
	return &output{format: "text", out: io.Discard, err: io.Discard, start: time.Now()}
}

func (b *huntBench) Up(ctx context.Context, s *spec.Lab) error {
	s.Provider = b.provider.Name()
	_, err := up(ctx, s, silent())
	return err
}

func (b *huntBench) Down(ctx context.Context, name string) error { return b.provider.Down(ctx, name) }

func (b *huntBench) Play(ctx context.Context, name string, o crash.Options) (*crash.Result, error) {
	o.Progress = func(string, ...any) {}
	return runLocked(ctx, name, o)
}

func (b *huntBench) Judge(ctx context.Context, dir string) (*verify.Verdict, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	v, err := verify.Verify(ctx, dir, verify.Options{Exe: []string{exe, "inspect-data"}})
	if err != nil {
		return nil, err
	}
	if v.Verdict != verify.Fail {
		return v, nil // its directory goes
	}
	return v, errors.Join(verify.Write(dir, v), report.Write(dir, v))
}

// able are the faults that a member can be hit with; a script is its writer's.
func able(m lab.Member) (names []string) {
	for _, k := range fault.Kinds() {
		if f, err := k.Make(nil); err == nil && f.Needs(m) == nil && k.Name != fault.NameNone && k.Name != "script" {
			names = append(names, k.Name)
		}
	}
	return names
}

// pointsOf are those of a build.
func pointsOf(ctx context.Context, e spec.Etcd) (names []string, err error) {
	store, err := openImages()
	if err != nil {
		return nil, err
	}
	request, err := imageRequest(e)
	if err != nil {
		return nil, err
	}
	points, err := store.ListFailpoints(ctx, request)
	for _, p := range points {
		names = append(names, p.Name)
	}
	return names, err
}

// formats are the file systems that can be made here.
func formats() (names []string) {
	for _, fs := range spec.FSes {
		if _, err := exec.LookPath("mkfs." + fs); err == nil {
			names = append(names, fs)
		}
	}
	if len(names) == 0 {
		return spec.FSes[:1]
	}
	return names
}

// laterReleases are the cached releases after one, built as a hunt has them.
func laterReleases(version string) ([]string, error) {
	store, err := openImages()
	if err != nil {
		return nil, err
	}
	all, err := store.List()
	return laterOf(all, version), err
}

// laterOf are first the releases of the same minor version, the nearest first,
// then the newest of all.
func laterOf(all []images.Image, version string) (names []string) {
	newest := ""
	for _, img := range all {
		plain := len(img.Failpoints) > 0 && !img.BboltFailpoints && len(img.Patches) == 0 && img.Source == "" && semver.Prerelease(img.Version) == ""
		switch {
		case !plain || semver.Compare(img.Version, version) <= 0 || slices.Contains(names, img.Version):
		case semver.MajorMinor(img.Version) == semver.MajorMinor(version):
			names = append(names, img.Version)
		case semver.Compare(img.Version, newest) > 0:
			newest = img.Version
		}
	}
	slices.SortFunc(names, semver.Compare)
	if newest != "" {
		names = append(names, newest)
	}
	return names
}

package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/crash/series"
)

// verifySeries judges again the legs of a series whose evidence is there; of the
// others the verdicts that were stored stand.
func verifySeries(ctx context.Context, dir string, o *output) error {
	ser, err := series.Open(ctx, dir)
	if err != nil {
		return err
	}
	if err = ser.JudgeAgain(ctx, series.Parts{Judge: judgeApart, Progress: o.progress}); err != nil {
		return errors.Join(err, ser.Close())
	}
	if err := ser.Close(); err != nil {
		return err
	}
	return tellSeries(dir, o)
}

// findSeries is the path of a series: arg, or the latest one of a lab of that
// name that began after run, its latest run, if it has any.
func findSeries(arg, runs, run string) (string, bool) {
	if series.Is(arg) {
		dir, err := filepath.Abs(arg)
		return dir, err == nil
	}
	at := ""
	if r, err := history.ReadRun(run); err == nil {
		at = r.Wall
	}
	found, _ := filepath.Glob(filepath.Join(runs, arg+"-*-series"))
	latest := ""
	for _, dir := range found {
		p, err := series.ReadPlan(dir)
		if err != nil || p.Wall <= at {
			continue
		}
		if l, err := p.Lab(); err == nil && l.Name == arg {
			latest, at = dir, p.Wall
		}
	}
	if latest == "" {
		return "", false
	}
	dir, err := filepath.Abs(latest)
	return dir, err == nil
}

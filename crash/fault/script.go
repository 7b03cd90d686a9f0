package fault

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/crash/history"
	"github.com/etcdlab/etcdlab/lab"
)

var scriptKind = Kind{
	Name: "script", Group: GroupCluster, Beside: true,
	Doc: "a program of your own does it: it is run with ETCDLAB_PHASE=apply, and to heal with heal, which may come twice; ETCDLAB_LAB, _TARGETS and _ENDPOINTS tell it what on; an exit status other than 0 is an error",
	Params: []Param{
		{Name: "path", Doc: "the program", Type: text(nil), Default: "true"},
		{Name: "args", Doc: "its arguments, by spaces", Type: text(nil)},
		{Name: "within", Doc: "how long it may take each time", Type: duration(), Default: "1m"},
	},
	New: func(a Args) (Fault, error) {
		if a.Text("path") == "" {
			return nil, fmt.Errorf("path must name a program")
		}
		return &Script{Path: a.Text("path"), Args: strings.Fields(a.Text("args")), Within: a.Duration("within")}, nil
	},
}

// Script has a program do the fault. That it ended well is all that is seen of it.
type Script struct {
	Path   string
	Args   []string
	Within time.Duration
}

func (*Script) Needs(lab.Member) error { return nil }

func (f *Script) Apply(ctx context.Context, s *Scene, targets []lab.Member) (Effect, error) {
	for _, m := range targets {
		s.event(history.EventFault, m.Name(), "script "+f.Path)
	}
	said, err := f.run(ctx, s, targets, "apply")
	return Effect{Observed: err == nil, Message: strings.TrimSuffix("script "+f.Path+" ended well: "+said, ": ")}, err
}

func (f *Script) Heal(ctx context.Context, s *Scene, targets []lab.Member) error {
	if _, err := f.run(ctx, s, targets, "heal"); err != nil {
		return err
	}
	return each(targets, func(m lab.Member) error {
		s.event(history.EventHealed, m.Name(), "script "+f.Path)
		info, err := m.Info(ctx)
		if err == nil && info.State == lab.StateStopped {
			return s.start(ctx, m)
		}
		return err
	})
}

// run gives the last line that the program printed.
func (f *Script) run(ctx context.Context, s *Scene, targets []lab.Member, phase string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.slow(f.Within))
	defer cancel()
	var names, urls []string
	for _, m := range targets {
		names = append(names, m.Name())
	}
	for _, m := range s.Members {
		info, err := m.Info(ctx)
		if err != nil {
			return "", err
		}
		urls = append(urls, info.ClientURL)
	}
	cmd := exec.CommandContext(ctx, f.Path, f.Args...)
	cmd.Env = append(os.Environ(), "ETCDLAB_PHASE="+phase, "ETCDLAB_LAB="+s.Lab,
		"ETCDLAB_TARGETS="+strings.Join(names, ","), "ETCDLAB_ENDPOINTS="+strings.Join(urls, ","))
	cmd.WaitDelay = time.Second // what it leaves running is its own
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	said := lines[len(lines)-1]
	if err != nil {
		return said, fmt.Errorf("script %s (%s): %w: %s", f.Path, phase, err, said)
	}
	return said, nil
}

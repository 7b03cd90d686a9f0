package images

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
)

// download makes sure that the module is in Go's module cache, and gives its
// directory there.
func (k *kitchen) download(ctx context.Context, mod, version string) (dir string, err error) {
	out, err := k.run(ctx, k.work, "mod", "download", "-json", mod+"@"+version)
	var m struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &m); jsonErr != nil && err == nil {
		return "", jsonErr
	}
	// Here the go command writes its complaint to standard output.
	var g *goError
	if errors.As(err, &g) && m.Error != "" {
		g.output = m.Error
	}
	if err != nil {
		return "", k.explain(err)
	}
	return m.Dir, nil
}

// downloadRelease downloads a module of the plan's release. Not every proxy has
// etcdctl and etcdutl of every release that it has the server of: then those of
// the nearest release of the same minor version are taken.
func (k *kitchen) downloadRelease(ctx context.Context, mod string) (dir, version string, err error) {
	dir, err = k.download(ctx, mod, k.in.Version)
	var e *Error
	if mod == serverModule || !errors.As(err, &e) || e.Kind != Usage {
		return dir, k.in.Version, err
	}
	out, listErr := k.run(ctx, k.work, "list", "-m", "-f", `{{join .Versions " "}}`, "-versions", mod)
	near := nearest(k.in.Version, strings.Fields(string(out)))
	if listErr != nil || near == "" {
		return "", "", err
	}
	k.progress(mod + " " + k.in.Version + " is not to be had, taking " + near)
	dir, err = k.download(ctx, mod, near)
	return dir, near, err
}

// What the go command says when it cannot reach what it needs, when what it
// needs does not exist, and when it is too old itself.
var (
	unreachable = regexp.MustCompile(`dial (tcp|udp)|connection (refused|reset|timed out)|no such host|i/o timeout|TLS handshake|` +
		`proxyconnect|network is unreachable|GOPROXY=off|x509:|reading \S+: (407|429|5\d\d) |[Cc]ould not resolve host|unable to access`)
	nonexistent = regexp.MustCompile(`reading \S+: (403|404|410) |reading file:\S+: .*no such file|unknown revision|no matching versions|invalid version`)
	noSuchArch  = regexp.MustCompile(`unsupported GOOS/GOARCH pair (\S+)`)
	tooOld      = regexp.MustCompile(`requires go >= (\S+) \(running go (\S+?)[;)]`)
)

// explain turns a go command's failure into one that says what to do.
func (k *kitchen) explain(err error) error {
	return explain(err, k.fail, func(g *goError) *Error {
		switch {
		case g.args[0] == "mod" && nonexistent.MatchString(g.output):
			return k.fail(Usage, "there is no such release in the Go module proxy", "`go list -m -versions "+serverModule+"` shows what there is")
		case k.source != nil:
			return k.fail(Usage, "the tree does not compile", "make it build with the go command first")
		}
		return k.fail(Build, "the go command failed", "try another release, or another Go")
	})
}

// explain recognises what any use of the go command can fail of; the rest is
// otherwise's.
func explain(err error, fail func(kind Kind, reason, next string) *Error, otherwise func(*goError) *Error) error {
	var g *goError
	if !errors.As(err, &g) {
		return err
	}
	var e *Error
	switch {
	case tooOld.MatchString(g.output):
		m := tooOld.FindStringSubmatch(g.output)
		e = fail(Environment, "it needs Go "+m[1]+", this is Go "+m[2], "install that Go, or set GOTOOLCHAIN=auto to let go fetch it")
	case noSuchArch.MatchString(g.output):
		e = fail(Usage, "there is no Go for "+noSuchArch.FindStringSubmatch(g.output)[1], "name another architecture, such as amd64 or arm64")
	case unreachable.MatchString(g.output):
		e = fail(Environment, "the go command cannot reach what it needs", "check the network and `go env GOPROXY`, or build where there is a network and copy the cache")
	default:
		e = otherwise(g)
	}
	e.Output, e.Err = g.output, g
	return e
}

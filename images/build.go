package images

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// recipe makes bin/NAME for each of binaryNames in out, working in work, and
// fills in what the manifest says of them.
type recipe func(ctx context.Context, p plan, work, out string, progress func(string)) (Image, error)

// Build gives the image that was asked for, from the cache or by building it,
// which takes about a minute. progress (may be nil) is told what goes on, one
// line at a time. When ctx ends, the build stops at once, leaves nothing, and
// the error is the context's. Other failures are of type *Error.
func (s *Store) Build(ctx context.Context, r Request, progress func(string)) (Image, error) {
	if progress == nil {
		progress = func(string) {}
	}
	p, err := s.plan(ctx, r)
	if err != nil {
		return Image{}, err
	}
	if img, ok, err := s.find(p); ok || err != nil {
		return img, p.wrap(err)
	}
	if p.goTool == nil {
		return Image{}, p.noGo()
	}
	img, err := s.buildLocked(ctx, p, progress)
	return img, p.wrap(err)
}

func (s *Store) buildLocked(ctx context.Context, p plan, progress func(string)) (img Image, err error) {
	key := p.in.key()
	waiting := func() { progress("waiting for another build of " + p.req.object()) }
	find := func() (ok bool, err error) {
		img, ok, err = s.find(p)
		return ok, err
	}
	err = s.once(ctx, s.entry(key), waiting, find, func(work, out string) error {
		if err := os.Mkdir(filepath.Join(out, "bin"), 0o755); err != nil {
			return err
		}
		img, err := s.build(ctx, p, work, out, progress)
		if err != nil {
			return err
		}
		img.Key, img.Inputs, img.Created = key, p.in, time.Now().UTC()
		img.BboltFailpoints, img.Gofail, img.OS, img.Arch = p.in.Bbolt, p.in.Gofail, p.in.OS, p.in.Arch
		img.Patches = patchNames(p.req.Patches)
		if img.Failpoints == nil {
			img.Failpoints = []Failpoint{} // [] and not null for who reads the JSON
		}
		if img.Size, err = img.place(out); err != nil {
			return err
		}
		img.Dir, img.Binaries = s.entry(key), map[string]string{}
		for _, name := range binaryNames {
			img.Binaries[name] = filepath.Join(s.entry(key), "bin", name)
		}
		return writeJSON(filepath.Join(out, manifestName), img)
	})
	if err != nil || img.Key != "" {
		return img, err
	}
	return load(s.entry(key))
}

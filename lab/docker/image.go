package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/docker/docker/client"

	"github.com/etcdlab/etcdlab/lab"
)

// load makes sure that the engine has the image, and returns its ID there.
func (p *Provider) load(ctx context.Context, b lab.Binaries, arch string) (id string, err error) {
	c := b.Container
	if c == nil {
		return "", fmt.Errorf("load the image of etcd %s: none was made", b.Version)
	}
	if c.Arch != arch {
		return "", lab.Misuse("the image of etcd %s is for %s, but the Docker engine is %s", b.Version, c.Arch, arch)
	}
	if id, err = p.has(ctx, c); err != nil || id != "" {
		return id, err
	}
	archive, err := os.Open(c.Archive)
	if errors.Is(err, os.ErrNotExist) {
		return "", lab.Misuse("the image of etcd %s is neither in the Docker engine nor in the cache: %s is gone; make it again: etcdlab images build %s", b.Version, c.Archive, b.Version)
	}
	if err != nil {
		return "", fmt.Errorf("load the image of etcd %s: %w", b.Version, err)
	}
	defer archive.Close()
	p.say("loading the image %s into the engine", c.Reference)
	answer, err := p.api.ImageLoad(ctx, archive, client.ImageLoadWithQuiet(true))
	if err != nil {
		return "", p.explain(ctx, "load the image "+c.Reference, err)
	}
	defer answer.Body.Close()
	// The engine loads as its answer is read.
	if err := loadError(answer.Body); err != nil {
		return "", p.explain(ctx, "load the image "+c.Reference, err)
	}
	if id, err = p.has(ctx, c); err == nil && id == "" {
		err = fmt.Errorf("load the image %s: the engine took it and does not have it; see its log", c.Reference)
	}
	return id, err
}

// has gives the image's ID in the engine, "" if it is not there. Engines that
// keep images in containerd name them by another digest; the tag is made of the
// contents, so it is as good.
func (p *Provider) has(ctx context.Context, c *lab.ContainerImage) (id string, err error) {
	for _, name := range []string{c.ID, c.Reference} {
		if name == "" {
			continue
		}
		i, err := p.api.ImageInspect(ctx, name)
		if isGone(err) {
			continue
		}
		if err != nil {
			return "", p.explain(ctx, "look for the image "+c.Reference, err)
		}
		return i.ID, nil
	}
	return "", nil
}

// loadError reads the engine's progress, a JSON object each time, to its end.
func loadError(r io.Reader) error {
	d := json.NewDecoder(r)
	for {
		var line struct {
			Error string `json:"error"`
		}
		err := d.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case line.Error != "":
			return errors.New(line.Error)
		}
	}
}

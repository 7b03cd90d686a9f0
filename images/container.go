package images

import (
	"context"
	"encoding/json"
	"fmt"
	iofs "io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// containerRecipe is raised whenever the recipe makes another container image
// from the same inputs.
const containerRecipe = 1

// Container is a container image in the cache.
type Container struct {
	Key       string `json:"key"`       // of the cache entry
	Reference string `json:"reference"` // etcdlab/member:KEY
	// ID is the digest of the configuration, by which engines name an image,
	// except those that keep images in containerd: they use the manifest's.
	ID      string `json:"id"`
	Archive string `json:"archive"` // as `docker save` writes it
	Arch    string `json:"arch"`
	// Lacks says, for each kind of file system that cannot be made in the
	// container, why.
	Lacks map[string]string `json:"lacks,omitempty"`
}

// containerInputs is everything that decides what a container image is.
type containerInputs struct {
	Etcd   string   `json:"etcd"`  // key of the build
	Agent  string   `json:"agent"` // key of the artifact
	Tools  []File   `json:"tools"`
	Lacks  []string `json:"lacks"` // kinds of file systems
	Recipe int      `json:"recipe"`
}

// memberDir is the agent's directory in a container.
const memberDir = "/run/etcdlab/member"

// Container gives the container image of a member with that etcd, from the
// cache or by making it. It needs no engine, and the same inputs give the same
// bytes. Failures are of type *Error.
func (s *Store) Container(ctx context.Context, img Image) (Container, error) {
	agent, err := s.agent(ctx, img.Arch)
	if err != nil {
		return Container{}, err
	}
	fail := func(kind Kind, reason, next string) *Error {
		return &Error{Kind: kind, Op: "make container image of", Object: "etcd " + img.Version + " for " + img.Arch, Reason: reason, Next: next}
	}
	tools, err := s.Tools(ctx, img.Arch)
	if err != nil {
		return Container{}, wrap(err, fail)
	}
	in := containerInputs{Etcd: img.Key, Agent: agent.Key, Tools: tools.Files, Lacks: slices.Sorted(maps.Keys(tools.Lacks)), Recipe: containerRecipe}
	made := false
	a, err := s.Make(ctx, Making{Kind: "container", Name: "etcd " + img.Version, Arch: img.Arch, Of: []string{img.Key, agent.Key}, Inputs: in,
		Make: func(_ context.Context, work, out string) (any, error) {
			made = true
			s.tell("making the container image of etcd %s for %s", img.Version, img.Arch)
			return pack(img, agent, tools, work, out)
		}})
	if err != nil {
		return Container{}, wrap(err, fail)
	}
	if made {
		s.Prune(a)
	}
	c, err := containerOf(a)
	c.Lacks = tools.Lacks
	return c, wrap(err, fail)
}

// containerFacts are what is known once the image is made.
type containerFacts struct {
	ID string `json:"id"`
}

// pack makes the archive.
func pack(img Image, agent Artifact, tools Tools, work, out string) (containerFacts, error) {
	image, err := assemble(img, agent, tools, work)
	if err != nil {
		return containerFacts{}, err
	}
	id, err := image.ConfigName()
	if err != nil {
		return containerFacts{}, err
	}
	tag, err := name.NewTag(reference(id.String()))
	if err != nil {
		return containerFacts{}, err
	}
	return containerFacts{id.String()}, tarball.WriteToFile(filepath.Join(out, archiveName), tag, image)
}

const archiveName = "image.tar"

// reference names an image by its contents.
func reference(id string) string {
	return "etcdlab/member:" + strings.TrimPrefix(id, "sha256:")[:12]
}

func containerOf(a Artifact) (Container, error) {
	var f containerFacts
	if err := json.Unmarshal(a.Facts, &f); err != nil {
		return Container{}, err
	}
	if len(f.ID) < 32 {
		return Container{}, fmt.Errorf("%s says no image's ID", a.Path(artifactName))
	}
	return Container{Key: a.Key, Reference: reference(f.ID), ID: f.ID, Archive: a.Path(archiveName), Arch: a.Arch}, nil
}

// assemble puts the image together, its layers being files in work. What
// changes least comes first.
func assemble(img Image, agent Artifact, tools Tools, work string) (v1.Image, error) {
	base := []File{
		{Name: "/etc", Mode: iofs.ModeDir | 0o755},
		{Name: memberDir, Mode: iofs.ModeDir | 0o700},
		{Name: "/tmp", Mode: iofs.ModeDir | iofs.ModeSticky | 0o777},
	}
	var etcd []File
	for _, b := range binaryNames {
		etcd = append(etcd, File{Name: "/usr/bin/" + b, From: img.Binaries[b], Mode: 0o755})
	}
	image := v1.Image(empty.Image)
	for i, l := range []struct {
		what  string
		files []File
	}{
		{"tools that make file systems", append(base, tools.Files...)},
		{"etcd " + img.Version, etcd},
		{"agent", []File{{Name: "/usr/bin/etcdlab", From: agent.Path("etcdlab"), Mode: 0o755}}},
	} {
		layer, err := newLayer(filepath.Join(work, fmt.Sprintf("layer%d.tar", i)), l.files)
		if err != nil {
			return nil, err
		}
		history := v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "etcdlab", Comment: l.what}
		if image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: history}); err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = imageOS, img.Arch, v1.Time{Time: epoch}
	config.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/etcdlab", "agent", "--dir", memberDir},
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":       "etcdlab member",
			"org.opencontainers.image.description": "etcd with its failpoints, and the agent of etcdlab",
			"org.opencontainers.image.version":     img.Version,
			"dev.etcdlab.etcd":                     img.Key,
			"dev.etcdlab.agent":                    agent.Key,
			"dev.etcdlab.lacks":                    strings.Join(slices.Sorted(maps.Keys(tools.Lacks)), ","),
		},
	}
	return mutate.ConfigFile(image, config)
}

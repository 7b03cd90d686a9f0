package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/images"
)

func newImages() *cobra.Command {
	cmd := &cobra.Command{Use: "images", Short: "Build and keep etcd's binaries, with failpoints compiled in"}
	cmd.AddCommand(newImagesBuild(), newImagesLs(), newImagesRm(), newImagesFailpoints(), newImagesExport())
	return cmd
}

// imageFlags say which build is meant.
type imageFlags struct {
	request images.Request
	patches []string
}

func (f *imageFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.request.Source, "source", "", "a local etcd tree, instead of VERSION")
	cmd.Flags().BoolVar(&f.request.BboltFailpoints, "bbolt-failpoints", false, "compile bbolt's failpoints in too")
	cmd.Flags().BoolVar(&f.request.NoFailpoints, "no-failpoints", false, "compile no failpoints in")
	cmd.Flags().StringArrayVar(&f.patches, "patch", nil, "apply a unified diff first: a file, or one that is built in; may be repeated")
}

// of gives the build that is meant, and the cache.
func (f *imageFlags) of(args []string) (images.Request, *images.Store, error) {
	r := f.request
	r.Version = argument(args, 0)
	if r.Version != "" && r.Source != "" {
		return r, nil, withCode(codeUsage, fmt.Errorf("version %s and source %s are both given; use one", r.Version, r.Source))
	}
	if r.Version == "" && r.Source == "" {
		r.Version = images.DefaultVersion
	}
	var err error
	if r.Patches, err = images.ReadPatches(f.patches); err != nil {
		return r, nil, err
	}
	store, err := openImages()
	return r, store, err
}

func newImagesBuild() *cobra.Command {
	var flags imageFlags
	cmd := &cobra.Command{
		Use:   "build [VERSION]",
		Short: "Build etcd, etcdctl and etcdutl of a release or a local tree",
		Args:  cobra.MaximumNArgs(1),
	}
	flags.add(cmd)
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, store, err := flags.of(args)
		if err != nil {
			return err
		}
		img, err := store.Build(cmd.Context(), r, func(line string) { o.progress("%s", line) })
		if err != nil {
			return err
		}
		if o.json() {
			return o.object(img)
		}
		fmt.Fprintf(o.out, "%s  %s  %d failpoints\n%s\n", img.Version, img.Key[:12], len(img.Failpoints), img.Dir)
		return nil
	}
	return cmd
}

func newImagesLs() *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Short: "List the builds in the cache", Args: cobra.NoArgs}
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		store, err := openImages()
		if err != nil {
			return err
		}
		list, err := store.List()
		if err != nil {
			return err
		}
		made, err := store.Artifacts()
		if err != nil {
			return err
		}
		if o.json() {
			return o.object(struct {
				Images    []images.Image    `json:"images"`
				Artifacts []images.Artifact `json:"artifacts"`
			}{append([]images.Image{}, list...), append([]images.Artifact{}, made...)})
		}
		w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "VERSION\tKEY\tFAILPOINTS\tBBOLT\tGO\tSIZE\tCREATED")
		for _, i := range list {
			fmt.Fprintf(w, "%s\t%s\t%d\t%t\t%s\t%d MiB\t%s\n", i.Version, i.Key[:12], len(i.Failpoints), i.BboltFailpoints, i.Go, i.Size>>20, i.Created.Format(time.DateTime))
		}
		if len(made) > 0 {
			fmt.Fprintln(w, "\nMADE\tKEY\tARCH\tOF\tSIZE\tCREATED")
		}
		for _, a := range made {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d MiB\t%s\n", a.Kind, a.Key[:12], a.Arch, a.Name, a.Size>>20, a.Created.Format(time.DateTime))
		}
		return w.Flush()
	}
	return cmd
}

func newImagesRm() *cobra.Command {
	return &cobra.Command{
		Use:   "rm VERSION|KEY|KIND...",
		Short: "Remove builds from the cache, with what was made of them",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := openImages()
			if err != nil {
				return err
			}
			for _, a := range args {
				n, err := store.Remove(a)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d removed\n", a, n)
			}
			return nil
		},
	}
}

func newImagesFailpoints() *cobra.Command {
	var flags imageFlags
	cmd := &cobra.Command{
		Use:   "failpoints [VERSION]",
		Short: "List the failpoints of a release or a local tree",
		Args:  cobra.MaximumNArgs(1),
	}
	flags.add(cmd)
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, store, err := flags.of(args)
		if err != nil {
			return err
		}
		points, err := store.ListFailpoints(cmd.Context(), r)
		if err != nil {
			return err
		}
		if o.json() {
			return o.object(struct {
				Failpoints []images.Failpoint `json:"failpoints"`
			}{append([]images.Failpoint{}, points...)})
		}
		w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tTYPE\tPACKAGE\tFILE")
		for _, p := range points {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.Name, p.Type, p.Package, p.File)
		}
		return w.Flush()
	}
	return cmd
}

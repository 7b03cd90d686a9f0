package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/images"
)

func newImagesExport() *cobra.Command {
	var flags imageFlags
	var format, to, arch string
	cmd := &cobra.Command{
		Use:   "export [VERSION] --to FILE",
		Short: "Write the container image of a member, for an engine that this machine does not reach",
		Args:  cobra.MaximumNArgs(1),
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&format, "format", "docker", "docker (as docker save writes it) or oci")
	cmd.Flags().StringVar(&to, "to", "", "the tar to write")
	cmd.Flags().StringVar(&arch, "arch", "", "amd64 or arm64 (default: this machine's)")
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if to == "" {
			return withCode(codeUsage, errors.New("say where to write the image: --to FILE"))
		}
		if to == "-" && o.json() {
			return withCode(codeUsage, errors.New("the image and its description cannot both go to stdout: use --to FILE, or leave -o json out"))
		}
		if err := images.CheckExport(format, to); err != nil {
			return err
		}
		if arch != "" && arch != "amd64" && arch != "arm64" {
			return withCode(codeUsage, fmt.Errorf("--arch %s: images are built for amd64 and arm64", arch))
		}
		r, store, err := flags.of(args)
		if err != nil {
			return err
		}
		r.Arch = arch
		progress := func(line string) { o.progress("%s", line) }
		store.Progress = progress
		img, err := store.Build(cmd.Context(), r, progress)
		if err != nil {
			return err
		}
		c, err := store.Container(cmd.Context(), img)
		if err != nil {
			return err
		}
		if err := store.ExportContainer(cmd.Context(), c, format, to, o.out); err != nil {
			return err
		}
		if o.json() {
			return o.object(struct {
				Reference string `json:"reference"`
				ID        string `json:"id"`
				Arch      string `json:"arch"`
				File      string `json:"file"`
			}{c.Reference, c.ID, c.Arch, to})
		}
		if to == "-" {
			o.progress("%s  %s", c.Reference, c.Arch) // stdout has the image
			return nil
		}
		fmt.Fprintf(o.out, "%s  %s\n%s\n", c.Reference, c.Arch, to)
		return nil
	}
	return cmd
}

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdlab/etcdlab/crash/fault"
	"github.com/etcdlab/etcdlab/lab"
)

func newFaults() *cobra.Command {
	var of string
	cmd := &cobra.Command{
		Use:   "faults [FAULT]",
		Short: "List the faults, or show one with its parameters; --lab says which of them a lab can do",
		Args:  cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&of, "lab", "", "say of each whether this lab can do it, and if not, why")
	o := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kinds := fault.Kinds()
		if len(args) == 1 {
			k, err := fault.Find(args[0])
			if err != nil {
				return withCode(codeUsage, err)
			}
			kinds = []fault.Kind{*k}
		}
		var l *lab.Lab
		if of != "" {
			var err error
			if l, err = open(cmd.Context(), of); err != nil {
				return err
			}
		}
		var views []faultView
		for _, k := range kinds {
			views = append(views, viewFault(&k, l))
		}
		switch {
		case o.json():
			return o.object(struct {
				Faults []faultView `json:"faults"`
			}{views})
		case len(args) == 1:
			return views[0].show(o)
		}
		w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
		for _, v := range views {
			line := fmt.Sprintf("%s\t%s\t%s", v.Group, v.Name, v.Doc)
			if l != nil {
				line = fmt.Sprintf("%s\t%s\t%s", v.Group, v.Name, v.can())
			}
			fmt.Fprintln(w, line)
		}
		return w.Flush()
	}
	return cmd
}

// faultView is the JSON form of a fault of the catalogue.
type faultView struct {
	Name    string      `json:"name"`
	Group   fault.Group `json:"group"`
	Doc     string      `json:"doc"`
	Members int         `json:"members,omitempty"` // that a lab must have
	Params  []paramView `json:"params,omitempty"`
	Works   *bool       `json:"works,omitempty"` // in the lab that was asked about
	Lacks   string      `json:"lacks,omitempty"` // why not
}

type paramView struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Words   []string `json:"words,omitempty"`
	Default string   `json:"default,omitempty"`
	Doc     string   `json:"doc"`
}

func viewFault(k *fault.Kind, l *lab.Lab) faultView {
	v := faultView{Name: k.Name, Group: k.Group, Doc: k.Doc, Members: k.Members}
	for _, p := range k.Params {
		v.Params = append(v.Params, paramView{p.Name, p.Type.Name, p.Type.Words, p.Default, p.Doc})
	}
	if l != nil {
		v.Lacks = lacks(k, l)
		works := v.Lacks == ""
		v.Works = &works
	}
	return v
}

// lacks says why a lab cannot do a fault; "" is that it can.
func lacks(k *fault.Kind, l *lab.Lab) string {
	if n := len(l.Members); n < k.Members {
		return fmt.Sprintf("it needs a lab of at least %d members, not %d", k.Members, n)
	}
	f, err := k.Make(nil)
	for _, m := range l.Members {
		if err == nil {
			err = f.Needs(m)
		}
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func (v *faultView) can() string {
	if v.Lacks != "" {
		return "skip: " + v.Lacks
	}
	return "works"
}

func (v *faultView) show(o *output) error {
	fmt.Fprintf(o.out, "%s (%s): %s\n", v.Name, v.Group, v.Doc)
	if v.Members > 0 {
		fmt.Fprintf(o.out, "needs %d members or more\n", v.Members)
	}
	if v.Works != nil {
		fmt.Fprintln(o.out, v.can())
	}
	w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
	for _, p := range v.Params {
		kind := p.Type
		if p.Words != nil {
			kind = strings.Join(p.Words, "|")
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", p.Name, kind, orDash(p.Default), p.Doc)
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

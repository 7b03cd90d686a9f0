package main

import (
	"slices"
	"testing"

	"github.com/etcdlab/etcdlab/images"
)

// A release that is there with a patch only is none that a hunt can play on.
func TestLaterReleases(t *testing.T) {
	points := []images.Failpoint{{Name: "beforeCommit"}}
	all := []images.Image{
		{Version: "v3.7.3", Failpoints: points}, {Version: "v3.6.1", Failpoints: points},
		{Version: "v3.5.17", Failpoints: points}, {Version: "v3.5.8", Failpoints: points}, {Version: "v3.5.8", Failpoints: points},
		{Version: "v3.5.23", Failpoints: points, Patches: []string{"after-open-snapshot"}},
		{Version: "v3.5.9"}, {Version: "v3.5.4", Failpoints: points}, {Version: "v3.5.10", Failpoints: points, BboltFailpoints: true},
	}
	if got := laterOf(all, "v3.5.7"); !slices.Equal(got, []string{"v3.5.8", "v3.5.17", "v3.7.3"}) {
		t.Error(got)
	}
	if got := laterOf(all, "v3.7.3"); len(got) != 0 {
		t.Error(got)
	}
}

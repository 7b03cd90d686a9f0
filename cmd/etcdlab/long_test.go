//go:build long

package main

import "testing"

func TestLongScripts(t *testing.T) { scripts(t, "testdata/long") }

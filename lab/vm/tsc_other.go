//go:build linux && !amd64

package vm

// tscParameter is of no use where there is no such counter.
func tscParameter() string { return "" }

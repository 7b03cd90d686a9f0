//go:build long

package images

import "testing"

func TestAgentOfOtherArchitectures(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		realAgent(t, arch)
	}
}

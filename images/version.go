package images

import (
	"strings"

	"golang.org/x/mod/semver"
)

// OldestVersion is the first release whose server is a module of its own, which
// is what a build from the module proxy needs.
const OldestVersion = "v3.5.0"

// NormalizeVersion turns "3.5.4" and "v3.5.4" into "v3.5.4". It fails, with a
// Usage error, for what is not a full semantic version, is older than
// OldestVersion, or is not an etcd of major version 3.
func NormalizeVersion(s string) (string, error) {
	bad := func(reason string) error {
		return &Error{Kind: Usage, Op: "read version", Object: `"` + s + `"`, Reason: reason,
			Next: "name an etcd release such as " + DefaultVersion}
	}
	v := strings.TrimSpace(s)
	if !strings.HasPrefix(v, "v") {
		v = "v" + v
	}
	// Canonical also fills in what is left out (v3.5 becomes v3.5.0), which
	// would build something the user did not name.
	if !semver.IsValid(v) || semver.Canonical(v) != v {
		return "", bad("not a full version (want MAJOR.MINOR.PATCH)")
	}
	if semver.Compare(v, OldestVersion) < 0 {
		return "", bad("older than " + OldestVersion + ", before which etcd's server is not a Go module of its own")
	}
	if semver.Major(v) != "v3" {
		return "", bad("there is no module of etcd with major version " + semver.Major(v))
	}
	return v, nil
}

// nearest is the first release after version among those of the same minor
// version, else the last one before it, else nothing. Pre-releases only serve
// pre-releases.
func nearest(version string, among []string) string {
	var before, after string
	for _, v := range among {
		if semver.MajorMinor(v) != semver.MajorMinor(version) || semver.Prerelease(v) != "" && semver.Prerelease(version) == "" {
			continue
		}
		if semver.Compare(v, version) < 0 {
			if before == "" || semver.Compare(v, before) > 0 {
				before = v
			}
		} else if after == "" || semver.Compare(v, after) < 0 {
			after = v
		}
	}
	if after != "" {
		return after
	}
	return before
}

// compareVersions orders versions as semver does; what is no version, such as
// that of a broken tree, comes first.
func compareVersions(a, b string) int { return semver.Compare(a, b) }

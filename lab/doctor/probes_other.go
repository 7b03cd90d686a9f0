//go:build !linux

package doctor

// probes off Linux: the controller runs here, and members in Docker.
func probes() []probe {
	return []probe{
		{"Docker", []string{"docker"}, "an engine that answers GET /version",
			"install and start Docker, or set DOCKER_HOST", docker},
		goProbe,
	}
}

package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
)

// docker asks the engine for its version with plain HTTP: whether one is there
// is all that matters here, and Docker's client belongs to lab/docker.
func docker(ctx context.Context) (string, error) {
	host := cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock")
	network, address, err := engine(host)
	if err != nil {
		return "", err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/version", nil)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		if wrapped := new(url.Error); errors.As(err, &wrapped) {
			err = wrapped.Err // without the URL, whose host is made up
		}
		return "", fmt.Errorf("%s does not answer: %w", host, err)
	}
	defer answer.Body.Close()
	var version struct{ Version, APIVersion, Os, Arch string }
	body := io.LimitReader(answer.Body, 1<<20)
	if err := json.NewDecoder(body).Decode(&version); err != nil || answer.StatusCode != http.StatusOK || version.Version == "" {
		return "", fmt.Errorf("%s answers %s, which is no Docker engine's version", host, answer.Status)
	}
	return fmt.Sprintf("%s (API %s, %s/%s)", version.Version, version.APIVersion, version.Os, version.Arch), nil
}

// engine is where to dial for a DOCKER_HOST.
func engine(host string) (network, address string, err error) {
	u, err := url.Parse(host)
	if err != nil {
		return "", "", fmt.Errorf("DOCKER_HOST: %w", err)
	}
	switch {
	case u.Scheme == "unix" && u.Path != "":
		return "unix", u.Path, nil
	case (u.Scheme == "tcp" || u.Scheme == "http") && os.Getenv("DOCKER_TLS_VERIFY") == "" && u.Port() != "":
		return "tcp", u.Host, nil
	}
	return "", "", fmt.Errorf("DOCKER_HOST=%s was not tried: only unix:// and tcp:// without TLS are", host)
}

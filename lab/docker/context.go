package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/etcdlab/etcdlab/lab"
)

// defaultContext is the docker command's name for "no context".
const defaultContext = "default"

// engineHost is the engine that the docker command would speak to: that of
// DOCKER_HOST, else of DOCKER_CONTEXT, else of its current context; "" is the
// default socket. from says which it was, for errors. Docker Desktop and its
// like may have no default socket at all, only a context.
func engineHost() (host, from string, err error) {
	if os.Getenv("DOCKER_HOST") != "" {
		return "", "DOCKER_HOST", nil // the client reads it, with its certificates
	}
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", "the default socket", nil
		}
		dir = filepath.Join(home, ".docker")
	}
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" {
		if name, err = currentContext(filepath.Join(dir, "config.json")); err != nil {
			return "", "", err
		}
	}
	if name == "" || name == defaultContext {
		return "", "the default socket", nil
	}
	host, err = contextHost(dir, name)
	return host, "the docker context " + name, err
}

// currentContext reads it from the docker command's configuration.
func currentContext(file string) (string, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the current docker context: %w", err)
	}
	var config struct{ CurrentContext string }
	if err := json.Unmarshal(data, &config); err != nil {
		return "", lab.Misuse("read the current docker context: %s: %w (or set DOCKER_HOST)", file, err)
	}
	return config.CurrentContext, nil
}

// contextHost finds the endpoint of a context. Its directory is named after the
// hash of its name, as names may hold anything.
func contextHost(dir, name string) (string, error) {
	sum := sha256.Sum256([]byte(name))
	file := filepath.Join(dir, "contexts", "meta", hex.EncodeToString(sum[:]), "meta.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return "", lab.Misuse("the docker context %q is not there: %w (see `docker context ls`, or set DOCKER_HOST)", name, err)
	}
	host, err := parseContext(data)
	if err != nil {
		return "", lab.Misuse("the docker context %q: %s: %w (or set DOCKER_HOST)", name, file, err)
	}
	return host, nil
}

func parseContext(data []byte) (host string, err error) {
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if err := json.Unmarshal(data, &meta); err != nil {
		return "", err
	}
	host = meta.Endpoints["docker"].Host
	if host == "" {
		return "", errors.New("it names no docker endpoint")
	}
	return host, nil
}

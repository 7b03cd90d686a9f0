package docker

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestContext(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("DOCKER_CONTEXT", "")
	is := func(want, wantErr string) {
		t.Helper()
		host, _, err := engineHost()
		if host != want || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("got %q, %v; want %q, %q", host, err, want, wantErr)
		}
	}
	put := func(file, data string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(data), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	is("", "")
	put(dir+"/config.json", `{"currentContext":"desktop"}`)
	is("", `docker context "desktop" is not there`)
	file := filepath.Join(dir, "contexts", "meta", fmt.Sprintf("%x", sha256.Sum256([]byte("desktop"))), "meta.json")
	put(file, `{"Name":"desktop","Endpoints":{"docker":{"Host":"unix:///home/u/.docker/run/docker.sock","SkipTLSVerify":false}}}`)
	is("unix:///home/u/.docker/run/docker.sock", "")
	put(file, `{"Endpoints":{}}`)
	is("", "no docker endpoint")
	t.Setenv("DOCKER_CONTEXT", "default")
	is("", "")
	t.Setenv("DOCKER_CONTEXT", "")
	put(dir+"/config.json", `{`)
	is("", "config.json")
	t.Setenv("DOCKER_HOST", "unix:///x")
	is("", "")
	for host, far := range map[string]string{
		"unix:///var/run/docker.sock": "", "npipe:////./pipe/docker_engine": "", "tcp://127.0.0.1:2375": "", "tcp://localhost:1": "",
		"tcp://10.0.0.7:2376": "10.0.0.7", "ssh://me@build": "build",
	} {
		if got := remote(host); got != far {
			t.Errorf("%s: %q", host, got)
		}
	}
}

func FuzzParseContext(f *testing.F) {
	f.Add([]byte(`{"Endpoints":{"docker":{"Host":"unix:///x"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if host, err := parseContext(data); err == nil && host == "" {
			t.Error("no host and no error")
		}
	})
}

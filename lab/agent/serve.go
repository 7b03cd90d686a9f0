package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/etcdlab/etcdlab/lab"
)

// ServeHost serves the host on the socket in dir and, unless listen is "", over
// mutual TLS there. It calls ready once it answers and returns after a request
// to shut down, or when ctx ends, after shutting the host down itself. The host
// is the caller's only until then.
func ServeHost(ctx context.Context, dir, listen string, files *lab.TLSFiles, h Host, ready func(error)) (err error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	shut := make(chan struct{})
	s := newServer(life, h, slog.Default(), sync.OnceFunc(func() { close(shut) }))
	listeners, err := listenAll(ctx, dir, listen, files)
	if err != nil {
		return errors.Join(err, s.shutdown(ctx))
	}
	hs := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn), // refused certificates
	}
	served := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { served <- hs.Serve(l) }()
	}
	left := len(listeners)
	defer func() {
		// The answer to the shutdown is still to be written.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		end()
		if hs.Shutdown(last) != nil {
			_ = hs.Close() // a client that does not go is cut off
		}
		for ; left > 0; left-- {
			<-served
		}
	}()
	ready(nil)
	select {
	case err := <-served:
		left--
		return errors.Join(err, s.shutdown(ctx))
	case <-shut:
		return nil
	case <-ctx.Done():
		return s.shutdown(ctx)
	}
}

// shutdown ends the host when nothing of it is being changed.
func (s *server) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
	defer cancel()
	if give, err := s.take(ctx); err == nil {
		defer give()
	}
	return s.host.Shutdown(ctx, false)
}

func listenAll(ctx context.Context, dir, listen string, files *lab.TLSFiles) ([]net.Listener, error) {
	local, err := listenSocket(Socket(dir))
	if err != nil {
		return nil, err
	}
	if listen == "" {
		return []net.Listener{local}, nil
	}
	remote, err := listenTLS(ctx, listen, files)
	if err != nil {
		return nil, errors.Join(err, local.Close())
	}
	return []net.Listener{local, remote}, nil
}

// listenSocket makes the socket, for its owner only from the first moment on.
func listenSocket(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for the controller: %w", err)
	}
	return l, nil
}

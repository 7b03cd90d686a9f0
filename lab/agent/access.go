package agent

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// serveLogs streams etcd's log; with ?follow=true on and on.
func (s *server) serveLogs(w http.ResponseWriter, request *http.Request) {
	s.follow(w, request, s.host.Logs)
}

// follow streams text, which goes on and on with ?follow=true.
func (s *server) follow(w http.ResponseWriter, request *http.Request, write func(ctx context.Context, w io.Writer, follow bool) error) {
	follow := false
	switch v := request.URL.Query().Get("follow"); v {
	case "", "false":
	case "true":
		follow = true
	default:
		s.answer(w, nil, Invalid("follow=%s: it is true or false", v))
		return
	}
	ctx, cancel := context.WithCancel(request.Context())
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	s.stream(w, "text/plain; charset=utf-8", func(to io.Writer) error {
		if follow {
			to = &flusher{to, http.NewResponseController(w)}
			// Whoever follows is to know that it began, long before the
			// first line may come.
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
		}
		err := write(ctx, to, follow)
		if ctx.Err() != nil {
			return nil // the reader has gone
		}
		return err
	})
}

// flusher sends what is written at once.
type flusher struct {
	io.Writer
	control *http.ResponseController
}

func (f *flusher) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err == nil {
		err = f.control.Flush()
	}
	return n, err
}

// serveExec upgrades the connection and runs a command over it. The command is
// ended when the connection is.
func (s *server) serveExec(w http.ResponseWriter, request *http.Request) {
	r, err := decode[execRequest](request.Body)
	if err != nil {
		s.answer(w, nil, invalid(err))
		return
	}
	if !strings.EqualFold(request.Header.Get("Upgrade"), execProtocol) {
		s.answer(w, nil, Invalid("exec needs the header Upgrade: %s", execProtocol))
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.answer(w, nil, err)
		return
	}
	defer conn.Close()
	const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + execProtocol + "\r\n\r\n"
	if _, err := io.WriteString(conn, switched); err != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	in, feed := io.Pipe()
	defer in.Close()
	go func() {
		defer cancel() // nobody is there any more to be told of anything
		for {
			kind, data, err := readFrame(buffered)
			switch {
			case err != nil:
				_ = feed.CloseWithError(err)
				return
			case kind == frameIn:
				// A command that has ended, or reads no more, is told so.
				_, _ = feed.Write(data)
			case kind == frameInEnd:
				_ = feed.Close()
			}
		}
	}()
	f := &framer{w: conn}
	var e exitFrame
	if e.Exit, err = s.host.Exec(ctx, r.Argv, in, f.to(frameOut), f.to(frameError)); err != nil {
		e.Error = onWire(err)
	}
	data, err := json.Marshal(e)
	if err != nil {
		return // of plain fields: it cannot
	}
	_ = f.frame(frameExit, data) // what fails here is the peer's connection
}

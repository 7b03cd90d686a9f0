package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// console keeps what a machine prints on its serial line, over all boots, and
// sends it what is typed.
type console struct {
	path string

	mu      sync.Mutex
	file    *os.File
	boot    int64         // where the current boot begins
	size    int64         // of the file
	changed chan struct{} // closed at the next change
	line    net.Conn      // to the current machine, nil if none runs
}

func openConsole(path string) (*console, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the console's log: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the console's log: %w", err), f.Close())
	}
	return &console{path: path, file: f, boot: st.Size(), size: st.Size(), changed: make(chan struct{})}, nil
}

// plug connects a machine's serial line, until its end; done is closed then.
func (c *console) plug(line net.Conn, member string) (done <-chan struct{}) {
	c.write(fmt.Appendf(nil, "\n--- etcdlab boots %s at %s\n", member, time.Now().UTC().Format(time.RFC3339)))
	c.mu.Lock()
	c.boot, c.line = c.size, line
	c.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer line.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := line.Read(buffer)
			c.write(buffer[:n])
			if err != nil {
				break
			}
		}
		c.mu.Lock()
		if c.line == line {
			c.line = nil
		}
		c.mu.Unlock()
	}()
	return ended
}

func (c *console) write(p []byte) {
	if len(p) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _ := c.file.Write(p) // a full disk loses the console's text only
	c.size += int64(n)
	close(c.changed)
	c.changed = make(chan struct{})
}

// send types on the machine's keyboard, whose return key is a carriage return.
func (c *console) send(p []byte) (int, error) {
	c.mu.Lock()
	line := c.line
	c.mu.Unlock()
	if line == nil {
		return 0, errors.New("type on the console: the machine is off")
	}
	// A frozen machine reads nothing.
	_ = line.SetWriteDeadline(time.Now().Add(time.Second))
	return line.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r")))
}

// thisBoot is the end of what the current boot has printed.
func (c *console) thisBoot() string {
	const most = 64 << 10
	c.mu.Lock()
	from, to := max(c.boot, c.size-most), c.size
	c.mu.Unlock()
	p := make([]byte, to-from)
	n, _ := c.file.ReadAt(p, from)
	return string(p[:n])
}

// await waits until the current boot has printed the text.
func (c *console) await(ctx context.Context, text string) bool {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if strings.Contains(c.thisBoot(), text) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// attach writes all boots to out, and on and on with follow; in is typed.
func (c *console) attach(ctx context.Context, in io.Reader, out io.Writer, follow bool) error {
	if in != nil {
		go func() {
			buffer := make([]byte, 256)
			for ctx.Err() == nil {
				n, err := in.Read(buffer)
				if n > 0 {
					_, _ = c.send(buffer[:n])
				}
				if err != nil {
					return
				}
			}
		}()
	}
	f, err := os.Open(c.path)
	if err != nil {
		return fmt.Errorf("read the console's log: %w", err)
	}
	defer f.Close()
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if _, err := io.Copy(out, f); err != nil {
			return fmt.Errorf("write the console's log: %w", err)
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

func (c *console) close() error { return c.file.Close() }

// lastPanic finds in what a machine printed why its kernel ended, "" if it does
// not say.
func lastPanic(text string) string {
	i := strings.LastIndex(text, "Kernel panic - not syncing: ")
	if i < 0 {
		return ""
	}
	line, _, _ := strings.Cut(text[i:], "\n")
	return strings.TrimSpace(line)
}

package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etcdlab/etcdlab/lab/wire"
)

const (
	maxFrame = 64 << 10
	// backlog is how many frames wait for a machine or another port; what is
	// more is dropped, as a switch does.
	backlog = 512
	redial  = 20 * time.Millisecond
)

// port is a member's port of the lab's network, which is no more than these
// ports: each sends a frame to the port of the member that has its address, or
// to all. So it needs no root, no bridge, and no multicast on the host, and a
// link that is down passes nothing in either direction.
type port struct {
	listener *net.UnixListener
	up       atomic.Bool
	in       chan []byte // to the machine
	peers    map[[6]byte]chan []byte
	wire     *wire.Wire // between the two
	ctx      context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu         sync.Mutex
	unplugCard func() // nil without a card
}

// openPort makes the port at dir; peers are the other members'.
func openPort(dir string, peers []peer) (*port, error) {
	path := filepath.Join(dir, portFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("make the network port: %w", err)
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("make the network port: %w", err)
	}
	p := &port{listener: l, in: make(chan []byte, backlog), peers: map[[6]byte]chan []byte{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.up.Store(true)
	p.wire = wire.New(0, p.hand, p.route)
	for _, other := range peers {
		mac, err := macOf(other.IP)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		queue := make(chan []byte, backlog)
		p.peers[[6]byte(mac)] = queue
		p.running.Go(func() { p.sendTo(filepath.Join(other.Dir, portFile), queue) })
	}
	p.running.Go(p.accept)
	return p, nil
}

// accept takes the connections of the other ports.
func (p *port) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			if p.ctx.Err() != nil {
				return
			}
			time.Sleep(redial)
			continue
		}
		p.running.Go(func() {
			defer context.AfterFunc(p.ctx, func() { _ = conn.Close() })()
			p.receive(conn, func(frame []byte) { p.wire.Pass(wire.In, frame) })
		})
	}
}

// receive reads frames until the connection ends.
func (p *port) receive(conn net.Conn, deliver func([]byte)) {
	defer conn.Close()
	buffer := make([]byte, maxFrame)
	for {
		n, err := conn.Read(buffer)
		if err != nil || n == 0 {
			return
		}
		if n >= 14 && p.up.Load() {
			deliver(buffer[:n])
		}
	}
}

// hand gives the machine a frame.
func (p *port) hand(frame []byte) {
	if p.up.Load() {
		offer(p.in, bytes.Clone(frame))
	}
}

// route sends a frame of the machine to where its address says.
func (p *port) route(frame []byte) {
	if !p.up.Load() {
		return // it was late, and the link has gone since
	}
	frame = bytes.Clone(frame)
	if frame[0]&1 == 0 {
		if queue, ok := p.peers[[6]byte(frame)]; ok {
			offer(queue, frame)
		}
		return
	}
	for _, queue := range p.peers {
		offer(queue, frame)
	}
}

func offer(queue chan<- []byte, frame []byte) {
	select {
	case queue <- frame:
	default:
	}
}

// sendTo sends what is queued for another port. While that is not there its
// frames are lost, as those of a cable to nowhere.
func (p *port) sendTo(path string, queue <-chan []byte) {
	var conn net.Conn
	var tried time.Time
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for {
		var frame []byte
		select {
		case <-p.ctx.Done():
			return
		case frame = <-queue:
		}
		if conn == nil && time.Since(tried) > redial {
			tried = time.Now()
			if c, err := new(net.Dialer).DialContext(p.ctx, "unixpacket", path); err == nil {
				conn = c
				p.running.Go(func() {
					// It sends nothing; its end is what is read.
					_, _ = c.Read(make([]byte, 1))
					c.Close()
				})
				context.AfterFunc(p.ctx, func() { _ = c.Close() })
			}
		}
		if conn == nil || !p.up.Load() {
			continue
		}
		// A port that takes nothing is that of a stopped agent.
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write(frame); err != nil {
			conn.Close()
			conn = nil
		}
	}
}

// plug connects a machine's card, in place of the last one, which has to be
// unplugged: a socket for datagrams does not tell that its other end has gone.
func (p *port) plug(card net.Conn) {
	p.unplug()
	for len(p.in) > 0 { // what was meant for the machine before
		<-p.in
	}
	gone := make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() {
		defer close(gone)
		p.receive(card, func(frame []byte) { p.wire.Pass(wire.Out, frame) })
	})
	both.Go(func() {
		for {
			select {
			case <-gone:
				return
			case frame := <-p.in:
				if p.up.Load() {
					_, _ = card.Write(frame)
				}
			}
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unplugCard = func() { card.Close(); both.Wait() }
}

// unplug takes the card off, if there is one.
func (p *port) unplug() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unplugCard != nil {
		p.unplugCard()
		p.unplugCard = nil
	}
}

func (p *port) setUp(up bool) { p.up.Store(up) }

func (p *port) close() error {
	p.stop()
	err := p.listener.Close()
	p.unplug()
	p.running.Wait()
	p.wire.Close()
	return err
}

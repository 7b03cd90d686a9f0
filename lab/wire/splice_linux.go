package wire

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/etcdlab/etcdlab/internal/netns"
)

// Place is where a member is plugged in: a port of a bridge, whose other end is
// the member's link.
type Place struct {
	NetNS string // of the bridge; "" is the caller's own
	Port  string // a name of at most 14 bytes
}

// What is made beside the port, and removed with the wire. The port and the tail
// are ports of the bridge void, which is down: so no frame that comes in by them
// is seen by anybody but us, whatever the kernel of the namespace is set to.
func (p Place) plug() string { return p.Port + "w" } // in the port's place in its bridge
func (p Place) tail() string { return p.Port + "x" } // the other end of that
func (p Place) void() string { return p.Port + "b" }

// Splice is a wire between a member's port and the bridge. What the member has,
// its link, addresses and connections, is not touched.
type Splice struct {
	*Wire
	place        Place
	member, rest *tap
	pumps        sync.WaitGroup
}

// Insert puts a wire without rules in. What an earlier one has left it removes
// first.
func Insert(p Place) (s *Splice, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("put a wire at port %s: %w", p.Port, err)
		}
	}()
	if err := Clear(p); err != nil {
		return nil, err
	}
	h, err := netns.Handle(p.NetNS)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	defer func() {
		if err != nil {
			err = errors.Join(err, Clear(p))
		}
	}()
	port, err := h.LinkByName(p.Port)
	if err != nil {
		return nil, err
	}
	tail, void, err := p.lay(h, port)
	if err != nil {
		return nil, err
	}
	s = &Splice{place: p}
	err = netns.Do(p.NetNS, func() (err error) {
		if s.member, err = openTap(port.Attrs().Index, p.Port); err != nil {
			return err
		}
		s.rest, err = openTap(tail.Attrs().Index, p.tail())
		return err
	})
	if err == nil {
		// From here on nothing passes but by us. What the taps took until now has
		// passed already, and passes again: TCP knows that, and a packet that is
		// lost instead would cost it more.
		err = h.LinkSetMaster(port, void)
	}
	if err != nil {
		s.closeTaps()
		return nil, err
	}
	s.Wire = New(virtioHeader, s.member.write, s.rest.write)
	s.pumps.Go(func() { _ = s.member.each(func(frame []byte) { s.Pass(Out, frame) }) })
	s.pumps.Go(func() { _ = s.rest.each(func(frame []byte) { s.Pass(In, frame) }) })
	return s, nil
}

// lay makes the links, ready but for the port, which is still in its bridge.
func (p Place) lay(h *netlink.Handle, port netlink.Link) (tail, void netlink.Link, err error) {
	at := port.Attrs()
	if at.MasterIndex == 0 {
		return nil, nil, fmt.Errorf("%s is no port of a bridge (etcdlab up puts it back)", p.Port)
	}
	off := false
	if err := h.LinkAdd(&netlink.Bridge{LinkAttrs: netns.Attrs(p.void()), MulticastSnooping: &off}); err != nil {
		return nil, nil, fmt.Errorf("make %s: %w", p.void(), err)
	}
	pair := &netlink.Veth{LinkAttrs: netns.Attrs(p.plug()), PeerName: p.tail(), PeerMTU: uint32(at.MTU)}
	pair.MTU = at.MTU
	if err := h.LinkAdd(pair); err != nil {
		return nil, nil, fmt.Errorf("make %s: %w", p.plug(), err)
	}
	if tail, err = h.LinkByName(p.tail()); err != nil {
		return nil, nil, err
	}
	if void, err = h.LinkByName(p.void()); err != nil {
		return nil, nil, err
	}
	if err := h.LinkSetMaster(tail, void); err != nil {
		return nil, nil, fmt.Errorf("plug %s into %s: %w", p.tail(), p.void(), err)
	}
	plug, err := h.LinkByName(p.plug())
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(h.LinkSetUp(tail), h.LinkSetUp(plug), awaitUp(h, p.plug()), awaitUp(h, p.tail())); err != nil {
		return nil, nil, err
	}
	if err := h.LinkSetMasterByIndex(plug, at.MasterIndex); err != nil {
		return nil, nil, fmt.Errorf("plug %s into the bridge: %w", p.plug(), err)
	}
	return tail, void, nil
}

// awaitUp waits until a link that was set up is: that comes a while later, and
// until then it takes nothing, and a bridge forwards nothing to it.
func awaitUp(h *netlink.Handle, name string) error {
	for end := time.Now().Add(upTimeout); ; time.Sleep(time.Millisecond) {
		l, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		state := l.Attrs().OperState
		if state == netlink.OperUp {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("set link %s up: it is still %v after %v", name, state, upTimeout)
		}
	}
}

const upTimeout = 5 * time.Second

// Remove takes the wire out: the port is in its bridge again before it goes.
func (s *Splice) Remove() error {
	err := unplug(s.place)
	s.Close() // what is late is sent while it can be
	s.closeTaps()
	s.pumps.Wait()
	return errors.Join(err, Clear(s.place))
}

func (s *Splice) closeTaps() {
	for _, t := range []*tap{s.member, s.rest} {
		if t != nil {
			t.close()
		}
	}
}

// unplug puts the port back into the bridge that the plug is in, if there is one.
func unplug(p Place) error {
	h, err := netns.Handle(p.NetNS)
	if err != nil {
		return err
	}
	defer h.Close()
	plug, err := h.LinkByName(p.plug())
	if netns.IsNoLink(err) {
		return nil
	}
	if err != nil {
		return err
	}
	port, err := h.LinkByName(p.Port)
	if err != nil {
		return fmt.Errorf("find port %s: %w", p.Port, err)
	}
	if plug.Attrs().MasterIndex == 0 {
		return nil // it was being made: the port is where it was
	}
	if err := h.LinkSetMasterByIndex(port, plug.Attrs().MasterIndex); err != nil {
		return fmt.Errorf("put port %s back into its bridge: %w", p.Port, err)
	}
	return nil
}

// Clear removes what a wire has left whose process was killed; none is fine.
func Clear(p Place) error {
	if len(p.Port) > 14 {
		return fmt.Errorf("the port's name %q is too long for a wire", p.Port)
	}
	if err := unplug(p); err != nil {
		return err
	}
	h, err := netns.Handle(p.NetNS)
	if err != nil {
		return err
	}
	defer h.Close()
	for _, name := range []string{p.plug(), p.void()} {
		l, err := h.LinkByName(name)
		if err == nil {
			err = h.LinkDel(l)
		}
		if err != nil && !netns.IsNoLink(err) {
			return fmt.Errorf("remove link %s: %w", name, err)
		}
	}
	return nil
}

package spec

import (
	"fmt"
	"net/netip"
)

// badSubnet is what is wrong with a lab's subnet, or "". A /28 has 14 usable
// addresses: room for nine members and a gateway; a /24 is as much as the
// choice from 198.18.0.0/15 hands out.
func badSubnet(s string) string {
	if s == "" {
		return ""
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return fmt.Sprintf("%q is not a subnet; write one such as 198.18.7.0/24", shorten(s))
	case !p.Addr().Is4():
		return fmt.Sprintf("subnet %s is not IPv4; write one such as 198.18.7.0/24", s)
	case p.Bits() < 24 || p.Bits() > 28:
		return fmt.Sprintf("subnet %s is a /%d; a lab's is /24 to /28", s, p.Bits())
	case p != p.Masked():
		return fmt.Sprintf("subnet %s has host bits set, did you mean %q?", s, p.Masked())
	}
	a := p.Addr()
	if a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.As4()[0] == 0 || a.As4()[0] >= 240 {
		return fmt.Sprintf("subnet %s is reserved; take one of your own, such as 198.18.7.0/24", s)
	}
	return ""
}

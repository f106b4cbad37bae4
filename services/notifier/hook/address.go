package hook

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// refusal says why an address isn't dialled.
type refusal string

func (r refusal) Error() string { return string(r) }

type controlFunc = func(network, address string, _ syscall.RawConn) error

// gate decides which addresses are dialled. It sits behind name resolution: what it sees is what is connected to.
type gate struct {
	allowed, reserved []netip.Prefix
	metadata          []netip.Addr
}

func newGate(allowed []netip.Prefix) gate {
	g := gate{allowed: slices.Clone(allowed)}
	// What the IANA's registries of special-purpose addresses say is not globally reachable, beyond what netip knows.
	for _, prefix := range strings.Fields(`0.0.0.0/8 100.64.0.0/10 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15
		198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 2001::/23 2001:db8::/32 3fff::/20`) {
		g.reserved = append(g.reserved, netip.MustParsePrefix(prefix))
	}
	// Where clouds answer with a machine's own credentials: AWS and most others, ECS, Alibaba, Azure, Oracle, Google.
	for _, addr := range strings.Fields(`169.254.169.254 169.254.170.2 169.254.170.23 100.100.100.200 168.63.129.16
		192.0.0.192 fd00:ec2::254 fd00:ec2::23 fd20:ce::254`) {
		g.metadata = append(g.metadata, netip.MustParseAddr(addr))
	}
	return g
}

// control is the dialer's for https: it lets through public addresses, and those that are allowed.
func (g gate) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return refusal("its address can't be read")
	}
	return g.check(at.Addr())
}

// controlPlain is the dialer's for http: nothing goes to a public address unencrypted.
func (g gate) controlPlain(network, address string, raw syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return refusal("its address can't be read")
	}
	if g.kind(inner(at.Addr())) == "" {
		return refusal(fmt.Sprintf("%s is a public address, and http only goes to private ones: use https", at.Addr()))
	}
	return g.control(network, address, raw)
}

// check refuses an address that is neither public nor allowed.
func (g gate) check(addr netip.Addr) error {
	within := inner(addr)
	if slices.Contains(g.metadata, within) {
		return refusal(fmt.Sprintf("%s is where a cloud hands out credentials, and is never called", addr))
	}
	kind := g.kind(within)
	if kind == "" || contains(g.allowed, within) {
		return nil
	}
	return refusal(fmt.Sprintf("%s is no public address (%s); webhooks go to public ones, or to networks that this service's configuration allows", addr, kind))
}

// kind names what keeps an address from being public; empty: it is public.
func (g gate) kind(addr netip.Addr) string {
	switch {
	case addr.IsUnspecified():
		return "unspecified"
	case addr.IsLoopback():
		return "loopback"
	case addr.IsLinkLocalUnicast():
		return "link-local"
	case addr.IsMulticast():
		return "multicast"
	case addr.IsPrivate():
		return "private"
	case contains(g.reserved, addr), addr.Is6() && addr.As16()[0]>>5 != 1: // outside of 2000::/3
		return "reserved"
	case isatap(addr):
		return g.kind(last(addr))
	}
	return ""
}

// inner is the address that a packet in the end goes to: the IPv4 address inside a mapped, NAT64 or 6to4 one.
func inner(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr
	}
	b := addr.As16()
	switch {
	case strings.HasPrefix(string(b[:]), "\x00\x64\xff\x9b\x00\x00\x00\x00\x00\x00\x00\x00"):
		return last(addr)
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return addr
}

// isatap tells an address whose last four bytes are an IPv4 address of the same site (RFC 5214).
func isatap(addr netip.Addr) bool {
	b := addr.As16()
	return addr.Is6() && b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

func last(addr netip.Addr) netip.Addr {
	b := addr.As16()
	return netip.AddrFrom4([4]byte(b[12:16]))
}

func contains(all []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(addr) })
}

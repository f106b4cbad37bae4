package hook

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestEveryAddressThatIsNotPublicIsRefused(t *testing.T) {
	g := newGate(nil)
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
		"169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1",
		"198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"100.100.100.200", "168.63.129.16",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::c0a8:1",
		"64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:1::1", "2002:a00:1::1",
		"3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
		"2a00:1450::5efe:10.0.0.1", "2a00:1450::200:5efe:127.0.0.1",
	} {
		if err := g.check(netip.MustParseAddr(text)); err == nil {
			t.Errorf("%s is let through", text)
		}
	}
}

func TestPublicAddressesAreLetThrough(t *testing.T) {
	g := newGate(nil)
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "172.15.255.255",
		"172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8",
		"64:ff9b::808:808", "2002:808:808::1", "2606:4700::1111", "2a00:1450:4001::200e", "2a00:1450::5efe:8.8.8.8",
	} {
		if err := g.check(netip.MustParseAddr(text)); err != nil {
			t.Error(err)
		}
		if err := g.controlPlain("tcp", netip.AddrPortFrom(netip.MustParseAddr(text), 80).String(), nil); err == nil {
			t.Errorf("%s is spoken to unencrypted", text)
		}
	}
}

func TestAnAllowedNetworkIsLetThroughAndNoOther(t *testing.T) {
	g := newGate([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/16")})
	for text, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::a01:203": true, "fd12::1": true,
		"10.2.0.1": false, "127.0.0.1": false, "fd13::1": false,
	} {
		if err := g.check(netip.MustParseAddr(text)); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestMetadataServicesAreRefusedWhateverIsAllowed(t *testing.T) {
	g := newGate([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")})
	for _, text := range []string{"169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "fd00:ec2::254", "100.100.100.200"} {
		if err := g.check(netip.MustParseAddr(text)); err == nil {
			t.Errorf("%s is let through", text)
		}
	}
}

// An IPv4 address gets the same answer in whatever IPv6 address it hides.
func TestAnAddressIsJudgedByTheOneInsideIt(t *testing.T) {
	g := newGate(nil)
	rapid.Check(t, func(t *rapid.T) {
		b := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
		bare := g.check(netip.AddrFrom4(b)) == nil
		mapped := netip.AddrFrom16(netip.AddrFrom4(b).As16())
		nat64 := netip.AddrFrom16([16]byte{0, 0x64, 0xff, 0x9b, 12: b[0], b[1], b[2], b[3]})
		sixToFour := netip.AddrFrom16([16]byte{0x20, 2, b[0], b[1], b[2], b[3], 15: 1})
		for _, addr := range []netip.Addr{mapped, nat64, sixToFour} {
			if (g.check(addr) == nil) != bare {
				t.Fatalf("%s and %s differ", netip.AddrFrom4(b), addr)
			}
		}
	})
}

package outbound

import "net/netip"

// public reports whether addr is a unicast address of the public internet, by
// the special-purpose registries of IANA (RFC 6890 and its updates). Metadata
// services lie in the refused ranges (169.254.169.254, 100.100.100.200,
// 192.0.0.192, fd00:ec2::254) or are named below.
func public(addr netip.Addr) bool {
	if !addr.IsValid() {
		return false
	}
	if addr.Is4() {
		return !within(addr,
			"0.0.0.0/8",        // this network
			"10.0.0.0/8",       // private
			"100.64.0.0/10",    // carrier-grade NAT
			"127.0.0.0/8",      // loopback
			"168.63.129.16/32", // Azure's host agent
			"169.254.0.0/16",   // link-local
			"172.16.0.0/12",    // private
			"192.0.0.0/24",     // protocol assignments
			"192.0.2.0/24",     // documentation
			"192.88.99.0/24",   // 6to4 relays
			"192.168.0.0/16",   // private
			"198.18.0.0/15",    // benchmarks
			"198.51.100.0/24",  // documentation
			"203.0.113.0/24",   // documentation
			"224.0.0.0/4",      // multicast
			"240.0.0.0/4",      // reserved, broadcast
		)
	}
	if within(addr, "64:ff9b::/96") { // NAT64: the IPv4 address is what is reached
		b := addr.As16()
		return public(netip.AddrFrom4([4]byte(b[12:])))
	}
	return within(addr, "2000::/3") && !within(addr,
		"2001::/23",     // Teredo, ORCHID and other assignments
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4
		"3fff::/20",     // documentation
	)
}

func within(addr netip.Addr, prefixes ...string) bool {
	for _, p := range prefixes {
		if netip.MustParsePrefix(p).Contains(addr) {
			return true
		}
	}
	return false
}

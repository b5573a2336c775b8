// Package private knows which hosts are on this machine or in private networks.
package private

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// CodeAddress is the code of the warning about a literal private address.
const CodeAddress = "private-address"

// Hosts are the hosts on this machine and in private networks that requests to
// other systems may reach. Nil allows none.
type Hosts struct {
	names    []string
	networks []netip.Prefix
}

// ParseHosts reads names, addresses and networks such as stock.local, 10.1.2.3 and
// 10.1.0.0/16.
func ParseHosts(list []string) (*Hosts, error) {
	out := &Hosts{}
	for _, text := range list {
		if strings.Contains(text, "/") {
			network, err := netip.ParsePrefix(text)
			if err != nil {
				return nil, fmt.Errorf("%q is not a network such as 10.1.0.0/16", text)
			}
			out.networks = append(out.networks, network.Masked())
			continue
		}
		if addr, ok := parseAddr(text); ok {
			out.networks = append(out.networks, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		if text == "" || strings.ContainsAny(text, ":@?#[] \t\\") {
			return nil, fmt.Errorf("%q is not a name, an address or a network such as stock.local, 10.1.2.3 or 10.1.0.0/16", text)
		}
		out.names = append(out.names, hostName(text))
	}
	return out, nil
}

// hostName is a host in the form in which hosts are compared: small letters, no dot at the
// end, and ASCII for the wide letters, digits and dots that requests turn into ASCII.
func hostName(host string) string {
	return strings.TrimSuffix(strings.ToLower(strings.Map(func(r rune) rune {
		switch {
		case r >= 0xFF01 && r <= 0xFF5E:
			return r - 0xFF00 + ' '
		case r == 0x3002 || r == 0xFF61:
			return '.'
		}
		return r
	}, host)), ".")
}

// parseAddr reads an address in each spelling that a resolver may take: also 127.1,
// 2130706433, 0x7f.0.0.1 and 0177.0.0.1.
func parseAddr(host string) (netip.Addr, bool) {
	host = hostName(host)
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var addr uint64
	for i, part := range parts {
		most := uint64(1) << 8
		if last := i == len(parts)-1; last {
			most = 1 << (8 * (5 - len(parts)))
		}
		n, err := strconv.ParseUint(part, 0, 64)
		if err != nil || n >= most || strings.ContainsAny(part, "_o") || strings.HasPrefix(part, "0b") {
			return netip.Addr{}, false
		}
		addr = addr*most + n
	}
	return netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}), true
}

// Allow reports whether a request to host may connect to addr, to which host resolves. A
// public address is always allowed.
func (p *Hosts) Allow(host string, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if !isPrivate(addr) {
		return true
	}
	return p != nil && (slices.Contains(p.names, hostName(host)) || slices.ContainsFunc(p.networks, func(n netip.Prefix) bool { return n.Contains(addr) }))
}

// AllowHost reports whether a request to a host may be made, as far as its text says. The
// address to which a name resolves is checked when the request is made.
func (p *Hosts) AllowHost(host string) bool {
	if !IsHost(host) {
		return true
	}
	if addr, ok := parseAddr(host); ok {
		return p.Allow(host, addr)
	}
	return p != nil && slices.Contains(p.names, hostName(host))
}

// IsHost reports whether a host in an address is this machine or in a private
// network, as far as its text says.
func IsHost(host string) bool {
	if addr, ok := parseAddr(host); ok {
		return isPrivate(addr)
	}
	name := hostName(host)
	return slices.Contains(privateNames, name) || slices.ContainsFunc(privateDomains, func(d string) bool { return strings.HasSuffix(name, d) })
}

// privateNames and privateDomains are the names of this machine and of private networks.
// Sources: RFC 6761, RFC 6762, RFC 8375, the /etc/hosts of Debian and Red Hat, and for
// .internal the resolution of the ICANN board of 29 July 2024.
var (
	privateNames   = []string{"localhost", "localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback"}
	privateDomains = []string{".localhost", ".local", ".internal", ".home.arpa"}
)

// special are networks that are not public, in addition to those that netip names.
// Source: https://www.iana.org/assignments/iana-ipv4-special-registry
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),      // this network
	netip.MustParsePrefix("100.64.0.0/10"),  // behind the NAT of a provider
	netip.MustParsePrefix("192.0.0.0/24"),   // protocols
	netip.MustParsePrefix("198.18.0.0/15"),  // measurements of devices
	netip.MustParsePrefix("240.0.0.0/4"),    // reserved, and broadcast
	netip.MustParsePrefix("fec0::/10"),      // site-local, no longer used
	netip.MustParsePrefix("64:ff9b:1::/48"), // NAT64 in private networks
	netip.MustParsePrefix("2001::/32"),      // Teredo
}

// embedded are networks of IPv6 addresses that contain an IPv4 address, with the place
// of its first byte.
var embedded = map[netip.Prefix]int{
	netip.MustParsePrefix("64:ff9b::/96"): 12, // NAT64
	netip.MustParsePrefix("2002::/16"):    2,  // 6to4
	netip.MustParsePrefix("::/96"):        12, // compatible with IPv4, no longer used
}

// isPrivate reports whether an address is not public.
func isPrivate(addr netip.Addr) bool {
	for network, at := range embedded {
		if network.Contains(addr.WithZone("")) {
			bytes := addr.As16()
			return isPrivate(netip.AddrFrom4([4]byte(bytes[at : at+4])))
		}
	}
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsMulticast() || addr.IsUnspecified() ||
		slices.ContainsFunc(special, func(n netip.Prefix) bool { return n.Contains(addr.WithZone("")) })
}

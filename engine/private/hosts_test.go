package private_test

import (
	"net/netip"
	"testing"

	"github.com/b24rules/b24rules/engine/private"
)

// TestPrivateHosts: private hosts in each spelling that a resolver may take, and hosts
// that only look like them.
func TestPrivateHosts(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.1": true, "127.255.255.254": true, "2130706433": true, "0x7f000001": true, "0x7F.0.0.1": true,
		"0177.0.0.1": true, "017700000001": true, "127.0.1": true, "0x7f.1": true, "127.0.0.1.": true, "１２７.０.０.１": true, "127。0。0。1": true,
		"0xb.1": false, "0xa.1": true, "0": true, "0.0.0.0": true, "10.1.2.3": true, "172.16.0.1": true, "172.32.0.1": false, "192.168.1.1": true,
		"169.254.169.254": true, "2852039166": true, "100.64.0.1": true, "198.18.0.1": true, "192.0.0.8": true, "224.0.0.1": true, "255.255.255.255": true,
		"::1": true, "::": true, "::ffff:127.0.0.1": true, "::ffff:7f00:1": true, "::127.0.0.1": true, "fe80::1": true, "fe80::1%eth0": true,
		"fd00::1": true, "fec0::1": true, "ff02::1": true, "64:ff9b::7f00:1": true, "64:ff9b::808:808": false, "2002:7f00:1::": true, "2002:808:808::": false,
		"64:ff9b:1::1": true, "2001:0:1::": true, "::ffff:8.8.8.8": false, "2a00:1450::1": false,
		"localhost": true, "LOCALHOST": true, "localhost.": true, "a.localhost": true, "ｌｏｃａｌｈｏｓｔ": true, "localhost.localdomain": true, "ip6-localhost": true,
		"stock.local": true, "host.docker.internal": true, "router.home.arpa": true,
		"8.8.8.8": false, "134744072": false, "1.2.3.4.5": false, "256.0.0.1": false, "127.0.0.1.example.com": false, "notlocalhost": false, "local": false,
		"stock.example.com": false, "10.example.com": false, "08.0.0.1": false, "": false,
	} {
		if got := private.IsHost(host); got != want {
			t.Errorf("%q is private: %v, want %v", host, got, want)
		}
	}
}

// TestAllowedHosts: names, addresses and networks that a configuration allows.
func TestAllowedHosts(t *testing.T) {
	hosts, err := private.ParseHosts([]string{"Stock.local", "10.1.2.0/24", "127.1", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"stock.local": true, "STOCK.LOCAL.": true, "other.local": false, "10.1.2.3": true, "10.1.3.3": false, "127.0.0.1": true, "2130706433": true,
		"::ffff:10.1.2.9": true, "fd00::1": true, "fe80::1": false, "localhost": false, "stock.example.com": true,
	} {
		if got := hosts.AllowHost(host); got != want {
			t.Errorf("%s is allowed: %v, want %v", host, got, want)
		}
	}
	for _, tt := range []struct {
		host, addr string
		want       bool
	}{
		{"stock.local", "192.168.1.1", true},
		{"stock.example.com", "192.168.1.1", false}, // a public name with a private address
		{"stock.example.com", "10.1.2.3", true},
		{"stock.example.com", "::ffff:192.168.1.1", false},
		{"stock.example.com", "fe80::1%eth0", false},
		{"stock.example.com", "93.184.216.34", true},
	} {
		if got := hosts.Allow(tt.host, netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%s at %s is allowed: %v, want %v", tt.host, tt.addr, got, tt.want)
		}
	}
	for _, text := range []string{"", "10.0.0.0/33", "a b", "https://stock.local", "stock.local:8080", "[::1]"} {
		if _, err := private.ParseHosts([]string{text}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	var none *private.Hosts
	if none.AllowHost("localhost") || !none.AllowHost("stock.example.com") {
		t.Error("without a list only public hosts are allowed")
	}
}

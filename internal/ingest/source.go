package ingest

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
)

type sourceKey struct{}

// Source returns the network address of the client whose request has the context, and an
// invalid address when it is not known. Install can count by it.
func Source(ctx context.Context) netip.Addr {
	addr, _ := ctx.Value(sourceKey{}).(netip.Addr)
	return addr
}

func withSource(r *http.Request) context.Context {
	return context.WithValue(r.Context(), sourceKey{}, source(r))
}

// source returns the address of the client. A reverse proxy on this machine or in a
// private network adds the address that it sees to the end of X-Forwarded-For; what is
// before that is from the client. Of an IPv6 address only the network is returned,
// because one client may have all its addresses.
func source(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	if addr.IsLoopback() || addr.IsPrivate() {
		chain := r.Header.Values("X-Forwarded-For")
		if len(chain) > 0 {
			last := chain[len(chain)-1]
			last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
			if client, err := netip.ParseAddr(last); err == nil {
				addr = client.Unmap()
			}
		}
	}
	if addr.Is6() {
		network, _ := addr.WithZone("").Prefix(64) // 64 bits are always possible
		return network.Addr()
	}
	return addr
}

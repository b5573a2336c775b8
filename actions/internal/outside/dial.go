package outside

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/private"
)

// privateError refuses a connection to a private address.
// host is "" when a secret holds it.
type privateError struct{ host, addr string }

func (e *privateError) Error() string {
	if e.host == "" {
		return "the host of the URL is this machine or in a private network, and the configuration does not allow it in private_hosts"
	}
	if e.addr == "" || e.addr == e.host {
		return fmt.Sprintf("%s is this machine or in a private network, and the configuration does not allow it in private_hosts", e.host)
	}
	return fmt.Sprintf("%s has the address %s, which is this machine or in a private network, and the configuration does not allow it in private_hosts", e.host, e.addr)
}

// park returns the error of the step: a retry does not help.
func (e *privateError) park() error { return engine.ParkError("%w", e) }

// dialLimit is in the context of a request: which addresses its connection may have.
type dialLimit struct {
	host    string
	shown   string // host, or "" when a secret holds it
	private *private.Hosts
	proxied bool
}

type dialLimitKey struct{}

// limited returns a request that connects only to public addresses and to those that
// the request allows. Behind a proxy only the proxy knows the address of a host, so there the text
// of the host decides.
func limited(req *http.Request, r engine.Request) (*http.Request, error) {
	host, shown := req.URL.Hostname(), ""
	if u, err := url.Parse(r.URL.String()); err == nil && u.Hostname() == host {
		shown = host
	}
	if !r.Private.AllowHost(host) {
		return nil, (&privateError{host: shown}).park()
	}
	proxy, err := http.ProxyFromEnvironment(req)
	limit := dialLimit{host: host, shown: shown, private: r.Private, proxied: proxy != nil && err == nil}
	return req.WithContext(context.WithValue(req.Context(), dialLimitKey{}, limit)), nil
}

// allowedTransport returns a transport that checks each address before it connects. The
// check is after the resolution of the name, so that a name cannot change its address in
// between.
func allowedTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // of net/http
	t.DialContext = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, ControlContext: checkAddress}).DialContext
	return t
}

func checkAddress(ctx context.Context, _, address string, _ syscall.RawConn) error {
	limit, _ := ctx.Value(dialLimitKey{}).(dialLimit)
	if limit.proxied {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !limit.private.Allow(limit.host, to.Addr()) {
		return &privateError{host: limit.shown, addr: to.Addr().String()}
	}
	return nil
}

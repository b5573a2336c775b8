package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/diag"
)

// Arrivals is what has reached this program.
type Arrivals struct {
	// Last is when the latest event of the portal arrived, the zero time without one.
	Last time.Time
	// Wrong are the events for the portal that had a wrong application token, Elsewhere those
	// whose address named no portal. Both are of the last day or two, and anybody can send
	// them.
	Wrong, Elsewhere Refused
}

// Refused is how many requests were refused, when the last one was, and which portal the
// address of an event named.
type Refused struct {
	Requests int
	Last     time.Time
	Asked    string
}

// reachability looks whether the portal reaches this program. Only the portal could prove
// that. So the check calls the public address from here, and looks at what has arrived.
func (x *examination) reachability(ctx context.Context, name string) {
	if x.Offline {
		x.add(name, OK, "the program fetches its events, so the portal need not reach it", "")
		return
	}
	answers := ""
	if x.Hook != "" {
		state, text, advice := ownAddress(ctx, x.Hook)
		if state != OK {
			x.add(name, state, text, advice)
			return
		}
		answers = text + "; "
	}
	if len(x.requiredEvents()) == 0 {
		x.add(name, OK, answers+"no rule needs an event", "")
		return
	}
	if x.Arrivals == nil {
		x.add(name, Unknown, answers+"serve has not run yet, so no event can have arrived", "start serve and change an entity")
		return
	}
	got, err := x.Arrivals(ctx)
	now := x.Now()
	switch {
	case err != nil:
		x.add(name, Unknown, err.Error(), checkDatabase)
	case got.Wrong.Last.After(got.Last):
		x.add(name, Warning, fmt.Sprintf("%s with a wrong application token since yesterday, the last %s", plural(got.Wrong.Requests, "event"), ago(now, got.Wrong.Last)), tokenAdvice(x.Webhook))
	case got.Last.IsZero() && !got.Elsewhere.Last.IsZero(), got.Elsewhere.Last.After(got.Last) && diag.Closest(got.Elsewhere.Asked, []string{x.Name}) != "":
		x.add(name, Warning, fmt.Sprintf("%s for a portal that the configuration does not have, the last %s for /hooks/%s", plural(got.Elsewhere.Requests, "event"), ago(now, got.Elsewhere.Last), got.Elsewhere.Asked),
			"the handler address in the portal must end with /hooks/"+x.Name)
	case got.Last.IsZero():
		x.add(name, Unknown, answers+"no event has arrived yet", "change an entity in the portal while serve runs")
	default:
		text := answers + "the last event arrived " + ago(now, got.Last)
		if got.Wrong.Requests > 0 {
			text += fmt.Sprintf("; before it %s with a wrong application token", plural(got.Wrong.Requests, "event"))
		}
		x.add(name, OK, text, "")
	}
}

// ago says how long ago a time was.
func ago(now, at time.Time) string {
	d := now.Sub(at).Round(time.Second)
	switch {
	case d < time.Second:
		return "just now"
	case d < time.Hour:
		return d.String() + " ago"
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

// tokenAdvice says how the portal gets the right application token.
func tokenAdvice(webhook bool) string {
	if webhook {
		return "copy the token of the outbound webhook into application_token of the portal; each outbound webhook has its own token, so use one for all events"
	}
	return "install the application again in the portal, which sends its token then"
}

// ownAddress calls the public address of the program as a portal would.
func ownAddress(ctx context.Context, hook string) (state State, text, advice string) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	u, err := url.Parse(hook)
	if err != nil {
		return Failed, "the public address is no URL", "correct public_url"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, hook, http.NoBody)
	if err != nil {
		return Failed, err.Error(), "correct public_url"
	}
	client := &http.Client{
		Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return ownFailure(u, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	switch {
	case err == nil && resp.StatusCode == http.StatusMethodNotAllowed && strings.TrimSpace(string(body)) == "want POST":
		return OK, hook + " answers", ""
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return Failed, fmt.Sprintf("%s answers with a redirect to %s, which portals do not follow", hook, resp.Header.Get("Location")), "write the address that it leads to into public_url and into the portal"
	case resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusGatewayTimeout:
		return Failed, fmt.Sprintf("%s answers with the status %d of a proxy that does not reach b24rules", hook, resp.StatusCode), "start serve, and let the proxy forward /hooks/ to the address of listen"
	}
	return Failed, fmt.Sprintf("%s answers with the status %d, and not as b24rules does", hook, resp.StatusCode), "let the proxy forward /hooks/ to the address of listen, without changing the path"
}

// ownFailure describes why the public address does not answer.
func ownFailure(u *url.URL, err error) (state State, text, advice string) {
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return Failed, u.Host + ": no such host", "make an entry in the DNS that leads to this machine, or correct public_url"
	case isCertificateFault(err):
		return Failed, u.Host + ": " + err.Error(), "portals refuse this certificate: get one from a public authority, for example with listen: {https: " + u.Hostname() + "}"
	}
	return Warning, u.Host + " cannot be reached from this machine: " + connectFailure(err),
		"start serve and its proxy, and open the port. Some routers refuse their own address from inside: then call curl -i " + u.String() + " from another network, it must return 405"
}

package outside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
)

const (
	// requestTimeout is the longest time of a request to another system.
	requestTimeout = 30 * time.Second
	// maxReply is the size limit of its answer in bytes.
	maxReply = 1 << 20
	// maxRetryAfter bounds how long a system may postpone a run.
	maxRetryAfter = 24 * time.Hour
	maxRedirects  = 5
)

// ownHeaders are set by b24rules or by net/http.
var ownHeaders = []string{"Host", "Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade", "Te"}

// ParseURL parses the URL of a request. plain also allows http://.
func ParseURL(text string, plain bool) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("url is not an address such as https://stock.example.com/reservations")
	case u.User != nil:
		return nil, errors.New("url has a name or a password in it: send an Authorization header, whose value may be a secret")
	case u.Scheme == "https":
	case u.Scheme != "http":
		return nil, fmt.Errorf("url starts with %s:// instead of https://", u.Scheme)
	case !plain && !isLoopback(u.Hostname()):
		return nil, errors.New("url starts with http://, so that others on the network could read the request: use https://, or add plain_http: true")
	}
	u.Fragment = ""
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// CheckHeader reports what is wrong with the name of a header.
// typed allows Content-Type.
func CheckHeader(name string, typed bool) error {
	const tokens = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if name == "" || strings.Trim(name, tokens) != "" {
		return fmt.Errorf("%q is not the name of a header", name)
	}
	if own := http.CanonicalHeaderKey(name); slices.Contains(ownHeaders, own) && !(typed && own == "Content-Type") {
		return fmt.Errorf("b24rules sets the header %s: remove it", name)
	}
	return nil
}

func CheckHeaderValue(h engine.SecretField, typed bool) error {
	if err := CheckHeader(h.Name, typed); err != nil {
		return err
	}
	if strings.ContainsFunc(h.Value.Reveal(), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return fmt.Errorf("the value of header %s has a line break or another control character", h.Name)
	}
	return nil
}

// sender follows a redirect only if it repeats the request to the same host,
// because no other host may receive the data. It connects only to allowed addresses.
var sender = &http.Client{Transport: allowedTransport(), CheckRedirect: func(next *http.Request, via []*http.Request) error {
	first := via[0]
	if next.Method != first.Method || next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme || len(via) > maxRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}}

// Send sends a request. After an error it is unknown whether the other system
// has processed the request. An answer with any status is not an error.
func Send(ctx context.Context, r engine.Request) (engine.Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var content io.Reader
	if r.Type != "" {
		content = strings.NewReader(r.Body.Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL.Reveal(), content)
	if err != nil {
		return engine.Reply{}, errors.New("the URL cannot be used") // the error has the URL, which may have a secret
	}
	req.Header.Set("User-Agent", "b24rules")
	req.Header.Set("Accept", "application/json")
	if r.Type != "" {
		req.Header.Set("Content-Type", r.Type)
	}
	for _, h := range r.Headers {
		req.Header.Set(h.Name, h.Value.Reveal())
	}
	if req, err = limited(req, r); err != nil {
		return engine.Reply{}, err
	}
	resp, err := sender.Do(req)
	if err != nil {
		var refused *privateError
		if errors.As(err, &refused) {
			return engine.Reply{}, refused.park()
		}
		var inURL *url.Error
		if errors.As(err, &inURL) {
			err = inURL.Err // without the address, which may have a token in it
		}
		return engine.Reply{}, err
	}
	defer resp.Body.Close()
	reply := engine.Reply{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	switch {
	case err != nil:
		reply.Lost = "its answer broke off"
	case len(body) > maxReply:
		reply.Lost = fmt.Sprintf("its answer is longer than %d KiB", maxReply>>10)
	default:
		reply.Body = body
	}
	return reply, nil
}

// retryAfter parses a Retry-After header: seconds or a date.
func retryAfter(text string, now time.Time) time.Time {
	at, err := http.ParseTime(text)
	if n, numErr := strconv.Atoi(strings.TrimSpace(text)); numErr == nil && n >= 0 {
		at, err = now.Add(time.Duration(min(n, int(maxRetryAfter/time.Second)))*time.Second), nil
	}
	if err != nil || !at.After(now) {
		return time.Time{}
	}
	if latest := now.Add(maxRetryAfter); at.After(latest) {
		return latest
	}
	return at
}

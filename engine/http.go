package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/private"

	"github.com/b24rules/b24rules/bitrix"
)

// KeyHeader is the header by which a system recognises a repeated request.
// https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
const KeyHeader = "Idempotency-Key"

// Request is a request to a system that is not the portal.
type Request struct {
	// Action is the request's name in histories, tests and plans. Call.Send sets it.
	Action string
	// Method is the method of HTTP, such as GET.
	Method  string
	URL     SecretText
	Headers SecretFields
	// Type is the media type of Body, "" without a body.
	Type string
	Body SecretText
	// Params are the URL and the content as histories, tests and plans show them, without
	// secrets.
	Params map[string]any
	// Private are the private hosts that the request may reach. Call.Send sets it.
	Private *private.Hosts
}

// Reads reports whether the request changes nothing in the other system, so that it may
// be repeated.
func (r Request) Reads() bool { return ReadsByMethod(r.Method) }

// ReadsByMethod reports whether requests with this method of HTTP change nothing.
func ReadsByMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead
}

// Call returns the request as histories, tests and plans show it, without secrets.
func (r Request) Call() bitrix.Call {
	params := maps.Clone(r.Params)
	if len(r.Headers) > 0 {
		params["headers"] = r.Headers.Shown()
	}
	return bitrix.Call{Method: r.Action, Params: params, Write: !r.Reads()}
}

// Reply is the answer of another system.
type Reply struct {
	Status int
	Body   []byte
	// Lost says why Body is not the whole answer, "" when it is.
	Lost string
	// RetryAfter is the earliest time for another request, if the system gives one.
	RetryAfter time.Time
}

// SendFunc sends a request to another system. An error means that the system may not
// have received it.
type SendFunc func(ctx context.Context, r Request) (Reply, error)

// Send sends a request by send and adds it to the history. It hides secrets in the
// answer and in the error. Rule tests use another send. A dry run sends only requests
// that read; for the others sent is false.
func (c *Call) Send(ctx context.Context, r Request, send SendFunc) (reply Reply, sent bool, err error) {
	return c.host.Send(ctx, r, send)
}

// StatusError is an answer of another system whose status is no success.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return strings.TrimSpace(strconv.Itoa(e.Status) + " " + http.StatusText(e.Status))
}

// LaterError is a failure with the earliest time for the next attempt. The failed
// attempt counts.
type LaterError struct {
	NotBefore time.Time
	Err       error
}

func (e *LaterError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *LaterError) Unwrap() error { return e.Err }

// EffectKey names an effect outside the portal. Two keys are equal only for the same
// step of the same run with the same content, in any attempt.
func (c *Call) EffectKey(content []byte) string {
	h := sha256.New()
	for _, part := range []string{c.PortalName, c.RunID, c.Key, string(content)} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return "b24r-" + hex.EncodeToString(h.Sum(nil)[:16])
}

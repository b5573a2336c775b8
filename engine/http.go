package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// KeyHeader is the header by which a system can tell a request that it has seen.
// https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
const KeyHeader = "Idempotency-Key"

// Post is a request to a system that is not the portal.
type Post struct {
	// Method is what histories, tests and plans call the request: the name of the
	// action. Call.Post sets it.
	Method  string
	URL     string
	Headers SecretFields
	// Body is JSON.
	Body json.RawMessage
}

// Call is the request as histories, tests and plans show it, without secrets.
func (p Post) Call() bitrix.Call {
	params := map[string]any{"url": p.URL, "body": p.Body}
	if len(p.Headers) > 0 {
		params["headers"] = p.Headers.Shown()
	}
	return bitrix.Call{Method: p.Method, Params: params, Write: true}
}

// Reply is what another system answered.
type Reply struct {
	Status int
	Body   []byte
	// Lost says why Body is not all that was answered; "" when it is.
	Lost string
	// RetryAfter is when the system wants to be asked again; zero when it does
	// not say.
	RetryAfter time.Time
}

// SendFunc sends a request to another system. Its error says that it is not
// known to have been taken.
type SendFunc func(ctx context.Context, p Post) (Reply, error)

// Post sends a request by send and keeps it for the history. Secrets are hidden in
// the answer and in the error. Tests replace send, and a dry run sends nothing:
// sent is false then.
func (c *Call) Post(ctx context.Context, p Post, send SendFunc) (reply Reply, sent bool, err error) {
	return c.host.Post(ctx, p, send)
}

// StatusError is an answer of another system that is no success.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return strings.TrimSpace(strconv.Itoa(e.Status) + " " + http.StatusText(e.Status))
}

// LaterError says that a system wants to be asked again, not before a time: the
// run is tried again then. It counts as an attempt.
type LaterError struct {
	NotBefore time.Time
	Err       error
}

func (e *LaterError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *LaterError) Unwrap() error { return e.Err }

// EffectKey names an effect outside of the portal: equal in every attempt of a
// run for the same content, and different for every other. what is the content.
func (c *Call) EffectKey(what []byte) string {
	h := sha256.New()
	for _, part := range []string{c.PortalName, c.RunID, c.Key, string(what)} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return "b24r-" + hex.EncodeToString(h.Sum(nil)[:16])
}

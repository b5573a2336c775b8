package bitrix

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
)

// PortalFault is what is wrong with a portal as a whole.
type PortalFault uint8

// The faults of a portal.
const (
	NoFault      PortalFault = iota
	Unreachable              // no answer, or one that is no REST answer: network, DNS, TLS, 5xx, HTML
	Unauthorised             // the portal refuses the credentials, has moved, is deleted or not paid
	Blocked                  // the portal has blocked REST because of overload
)

// FaultOf returns the portal's fault that an error of a call may be a sign of.
// A call can also fail in the same way for another reason. Probe decides.
// The rate limit and the working time of a method are no faults, because the
// client waits for them.
func FaultOf(err error) PortalFault {
	var e *Error
	if !errors.As(err, &e) || errors.Is(err, ErrClosed) || errors.Is(err, ErrStale) {
		return NoFault
	}
	switch e.code() {
	case CodeQueryLimit, CodeOperationLimit, "INSUFFICIENT_SCOPE":
		return NoFault
	case CodeOverload:
		return Blocked
	case CodeMoved, CodeNotInstalled, CodeTokensLost, codeExpired, codeInvalid, "NO_AUTH_FOUND", "INVALID_CREDENTIALS",
		"APPLICATION_NOT_FOUND", "ERROR_OAUTH", "AUTHORIZATION_ERROR", "PAYMENT_REQUIRED", "PORTAL_DELETED", codeNotRenewed:
		return Unauthorised
	case CodeNetwork, "INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER":
		return Unreachable
	case CodeBadAnswer:
		if e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden {
			return Unauthorised
		}
		if e.Outcome == Executed {
			return NoFault // a REST answer whose result has another shape
		}
		return Unreachable
	}
	switch {
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		return Unauthorised
	case e.Status >= http.StatusInternalServerError:
		return Unreachable
	}
	return NoFault
}

// Probe asks the portal for its time, ahead of all other calls and also while
// the portal has blocked REST. A nil error says that the portal answers and
// accepts the credentials; calls that a block held back can then be made again.
// server.time needs credentials but no scope.
// Source: https://apidocs.bitrix24.com/api-reference/common/system/server-time.html
func (c *Client) Probe(ctx context.Context) (time.Time, error) {
	if c.transport.auth != nil {
		c.transport.auth.askAgain()
	}
	c.transport.bucket.Take(time.Now())
	env, e := c.transport.post(ctx, "server.time", []byte("{}"), 1)
	if e != nil {
		return time.Time{}, e
	}
	at, err := serverTime(env.result)
	if err != nil {
		return time.Time{}, err
	}
	c.batcher.Unblock()
	return at, nil
}

// ServerTime asks the portal for its time. Unlike Probe it waits for the rate limit.
func (c *Client) ServerTime(ctx context.Context) (time.Time, error) {
	a := c.Do(ctx, Call{Method: "server.time"})[0]
	if a.Err != nil {
		return time.Time{}, a.Err
	}
	return serverTime(a.Result)
}

func serverTime(result json.RawMessage) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, wire.Text(result))
	if err != nil {
		return time.Time{}, &Error{Method: "server.time", Status: http.StatusOK, Code: CodeBadAnswer, Detail: "the answer is no time", Outcome: Unknown}
	}
	return at, nil
}

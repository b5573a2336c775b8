package bitrix

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Codes of errors that this package knows by name.
const (
	CodeQueryLimit     = "QUERY_LIMIT_EXCEEDED" // the rate limit; the call did not run
	CodeOperationLimit = "OPERATION_TIME_LIMIT" // the method used up its time; the call did not run
	CodeOverload       = "OVERLOAD_LIMIT"       // the portal blocked REST by hand
	CodeNotFound       = "NOT_FOUND"
	CodeMoved          = "PORTAL_MOVED" // ours: the portal answered with a redirect
	CodeNetwork        = "NETWORK"      // ours: no answer came
	CodeBadAnswer      = "BAD_ANSWER"   // ours: the answer could not be read

	codeArgument = "ERROR_ARGUMENT" // ours too: the parameters cannot be sent
)

// Outcome says whether a failed call has run.
type Outcome uint8

// The outcomes. Unknown is the safe reading of everything that is not sure.
const (
	Unknown     Outcome = iota // it may have run: a time-out, a broken answer
	NotExecuted                // it surely did not run: refused, or never sent
	Executed                   // the portal worked on it and refused: bad arguments, no such item
)

// Error is a failed REST call. Its text holds the method and the portal's own
// words, never the URL, which has the webhook's secret in its path.
type Error struct {
	Method string
	// Status is the HTTP status, 0 inside a batch and when no answer came.
	Status int
	// Code is the portal's code, upper or lower case as it was sent, "" when
	// the portal sent none (legacy CRM methods).
	Code string
	// Detail is the portal's description, which may be localised.
	Detail  string
	Outcome Outcome
	// NotBefore is when the portal will take the call again; zero when it did
	// not say.
	NotBefore time.Time
	// Settled is when a write of unknown outcome has ended for sure, whether it
	// was done or not: until then the portal may still be working on it, and a
	// look whether it was done tells nothing. Zero when it has ended.
	SafeAfter time.Time

	passing bool // Temporary for a reason that the code does not tell
	cause   error
}

// of returns the error of a call that shared its fate with others.
func (e *Error) of(method string) *Error {
	own := *e
	own.Method = method
	return &own
}

// callerGaveUp is the error of a caller whose context ended before anything was
// sent.
func callerGaveUp(cause error) *Error {
	return &Error{Detail: "the caller gave up: " + cause.Error(), Outcome: NotExecuted, cause: cause}
}

// Error names the method, the code and what the portal said.
func (e *Error) Error() string {
	parts := []string{e.Method}
	if e.Code != "" {
		parts = append(parts, e.Code)
	}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	if len(parts) == 1 {
		parts = append(parts, fmt.Sprintf("an error without a code or a text, status %d", e.Status))
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns what lies behind a network error.
func (e *Error) Unwrap() error { return e.cause }

// Temporary reports whether the same call may succeed later without anybody
// doing something about it.
func (e *Error) Temporary() bool {
	switch e.code() {
	case CodeQueryLimit, CodeOperationLimit, CodeOverload, CodeNetwork:
		return true
	case "PORTAL_DELETED": // comes with status 500
		return false
	}
	return e.passing || e.Outcome == Unknown || e.Status >= http.StatusInternalServerError
}

// code is the code for comparing: portals mix upper and lower case.
func (e *Error) code() string { return strings.ToUpper(e.Code) }

// IsCode reports whether err is an Error with this code, in any case.
func IsCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && strings.EqualFold(e.Code, code)
}

// IsNotFound reports whether err says that the item asked for does not exist.
// Legacy methods send no code but the text "Not found".
func IsNotFound(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.code() {
	case CodeNotFound, "ERROR_ELEMENT_NOT_FOUND", "OWNER_NOT_FOUND":
		return true
	case "":
		return strings.HasPrefix(strings.ToLower(e.Detail), "not found")
	}
	return false
}

// outcomeOf tells from a portal's error answer whether the call has run.
func outcomeOf(status int, code string) Outcome {
	switch strings.ToUpper(code) {
	case CodeQueryLimit, CodeOperationLimit, CodeOverload,
		"ERROR_METHOD_NOT_FOUND", "ERROR_BATCH_LENGTH_EXCEEDED", "ERROR_BATCH_METHOD_NOT_ALLOWED",
		"NO_AUTH_FOUND", "INVALID_CREDENTIALS", "INSUFFICIENT_SCOPE", "EXPIRED_TOKEN", "INVALID_TOKEN",
		"APPLICATION_NOT_FOUND", "ERROR_OAUTH", "AUTHORIZATION_ERROR", "PAYMENT_REQUIRED", "INVALID_REQUEST",
		"WRONG_AUTH_TYPE", "USER_ACCESS_ERROR", "ALLOWED_ONLY_INTRANET_USER", "PORTAL_DELETED",
		"METHOD_CONFIRM_WAITING", "METHOD_CONFIRM_DENIED", "ERROR_MANIFEST_IS_NOT_AVAILABLE":
		return NotExecuted
	case "INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER":
		return Unknown
	}
	switch {
	case turnedAway(status):
		return NotExecuted
	case status >= http.StatusInternalServerError:
		return Unknown
	}
	return Executed
}

// turnedAway reports a status that a portal, or what stands before it, answers
// without looking at what was asked.
func turnedAway(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusTooManyRequests:
		return true
	}
	return false
}

// String names the outcome.
func (o Outcome) String() string {
	switch o {
	case NotExecuted:
		return "not executed"
	case Executed:
		return "executed"
	}
	return "unknown"
}

package bitrix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/limit"
	"github.com/b24rules/b24rules/bitrix/internal/wire"
	"github.com/b24rules/b24rules/internal/redact"
)

// envelope is what every method answers when it succeeds.
type envelope struct {
	status      int
	result      json.RawMessage
	total, next int
	time        wire.Time
}

// transport makes the requests to one portal and reads their answers. It knows
// nothing of queues.
type transport struct {
	cfg       Config
	base      string           // the webhook's URL with a trailing slash
	redactor  *redact.Redactor // hides the secrets of the client in texts of the portal
	auth      *authority       // of an application; nil for a webhook
	http      *http.Client
	bucket    *limit.Bucket
	operating *limit.Operating
	resent    atomic.Int64 // requests with a new token
	// longNumbers says that an answer had a number with all digits of a double.
	longNumbers atomic.Bool
}

// post sends a request and reads its envelope. An application whose token has
// expired gets another one and sends the request once more: the portal refused
// it before it looked at it.
func (t *transport) post(ctx context.Context, method string, body []byte, commands int) (*envelope, *Error) {
	if t.auth == nil {
		return t.request(ctx, method, t.base, body, commands)
	}
	tokens, fault := t.auth.now(ctx)
	if fault != nil {
		return nil, fault.of(method)
	}
	env, fault := t.request(ctx, method, tokens.Endpoint, t.auth.sign(body, tokens), commands)
	if fault == nil || fault.code() != codeExpired && fault.code() != codeInvalid {
		return env, fault
	}
	if tokens, fault = t.auth.renew(ctx, tokens.Access); fault != nil {
		return nil, fault.of(method)
	}
	t.resent.Add(1)
	t.bucket.Take(time.Now())
	return t.request(ctx, method, tokens.Endpoint, t.auth.sign(body, tokens), commands)
}

// request makes one HTTP request and reads the envelope of its answer.
func (t *transport) request(ctx context.Context, method, base string, body []byte, commands int) (*envelope, *Error) {
	started := time.Now()
	body, err := t.cfg.Encoding.Request(method, body)
	if err != nil {
		return nil, &Error{Method: method, Code: codeArgument, Detail: "the request has the character " + err.Error(), Outcome: NotExecuted}
	}
	if t.cfg.ReadOnly {
		if command, ok := onlyReads(method, body); !ok {
			return nil, errReadOnly(command)
		}
	}
	status, data, fault := t.exchange(ctx, base+method, body)
	var env *envelope
	if fault == nil {
		env, fault = t.open(status, data)
	}
	attrs := []slog.Attr{
		slog.String("method", method), slog.Int("status", status), slog.Duration("duration", time.Since(started)),
		slog.Int("commands", commands), slog.Int("bytes", len(data)),
	}
	if fault != nil {
		if fault.Outcome == Unknown && (status == 0 || status == http.StatusGatewayTimeout) {
			fault.SafeAfter = started.Add(max(0, t.cfg.Settle)) // no answer has said that it has ended
		}
		fault.Method = method
		attrs = append(attrs, slog.String("error", fault.Error()))
	}
	t.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "request", attrs...)
	return env, fault
}

// byteOrderMark may come before an answer when a file of the portal's site was
// saved with one. RFC 8259, section 8.1, lets a reader skip it.
const byteOrderMark = "\uFEFF"

// open reads an answer. Nothing in it is taken for granted: portals answer
// errors with status 200, numbers as text, [] for an empty object, and what
// stands before them answers HTML.
func (t *transport) open(status int, data []byte) (*envelope, *Error) {
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	raw, err := wire.Object(data)
	if err != nil {
		return nil, noRESTAnswer(status, data)
	}
	if e := string(raw["error"]); e != "" && e != "null" && e != "false" {
		fault := &Error{Status: status, Code: wire.Text(raw["error"]), Detail: wire.Text(raw["error_description"])}
		if e[0] == '{' { // REST 3.0 puts an object there
			var v3 struct{ Code, Message string }
			_ = json.Unmarshal(raw["error"], &v3) // what it lacks stays empty
			fault.Code, fault.Detail = v3.Code, v3.Message
		}
		fault.Code, fault.Detail = t.clean(fault.Code), t.clean(fault.Detail)
		fault.Outcome = outcomeOf(status, fault.Code)
		return nil, fault
	}
	if raw["result"] == nil || status < 200 || status > 299 {
		return nil, noRESTAnswer(status, data)
	}
	short := wire.ShortNumbers(raw["result"])
	if len(short) != len(raw["result"]) {
		t.longNumbers.Store(true)
	}
	return &envelope{
		status: status, result: short,
		total: wire.Count(raw["total"]), next: wire.Count(raw["next"]), time: wire.DecodeTime(raw["time"]),
	}, nil
}

// maxDetail is how much of a portal's text an error keeps.
const maxDetail = 500

// clean hides our secrets in a text of the portal, and shortens it then: a secret that is
// cut is not found.
func (t *transport) clean(text string) string {
	text = t.redactor.Text(strings.ToValidUTF8(text, "\uFFFD"))
	if t.cfg.Hide != nil {
		text = t.cfg.Hide(text)
	}
	if r := []rune(text); len(r) > maxDetail {
		text = string(r[:maxDetail]) + "…"
	}
	return text
}

// note passes the working time of an answer on.
func (t *transport) note(method string, c wire.Time, now time.Time) {
	if c.Known {
		t.operating.Note(method, c.Used, c.ResetIn, now)
	}
}

// exchange makes the HTTP request. The callers' contexts do not end it: others
// wait for the same answer, and a write that was sent has been sent.
func (t *transport) exchange(ctx context.Context, address string, body []byte) (status int, data []byte, fault *Error) {
	if t.cfg.Permit != nil {
		if err := t.cfg.Permit(); err != nil {
			return 0, nil, errNotPermitted(err)
		}
	}
	timed, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	var dialing, connected atomic.Bool
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { dialing.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(timed, trace), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, &Error{Code: codeArgument, Detail: "the request cannot be made", Outcome: NotExecuted}
	}
	t.permit(req, body)
	req.Header.Set("Content-Type", t.cfg.Encoding.ContentType())
	req.Header.Set("Accept", "application/json")
	resp, err := t.http.Do(req)
	if err != nil {
		return 0, nil, t.networkError(ctx, err, dialing.Load() && !connected.Load())
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return resp.StatusCode, nil, t.moved(req.URL, resp)
	}
	data, err = io.ReadAll(io.LimitReader(resp.Body, t.cfg.MaxAnswer+1))
	if err != nil {
		return resp.StatusCode, nil, t.networkError(ctx, err, false)
	}
	if int64(len(data)) > t.cfg.MaxAnswer {
		return resp.StatusCode, nil, &Error{Status: resp.StatusCode, Code: CodeBadAnswer, Detail: fmt.Sprintf("the answer is larger than %d bytes", t.cfg.MaxAnswer), Outcome: Unknown}
	}
	if data, err = t.cfg.Encoding.Answer(resp.Header.Get("Content-Type"), data); err != nil {
		return resp.StatusCode, nil, &Error{Status: resp.StatusCode, Code: CodeBadAnswer, Detail: err.Error(), Outcome: Unknown}
	}
	return resp.StatusCode, data, nil
}

// networkError describes a failed exchange without the URL, which has the
// secret in its path. unsent says that there never was a connection.
func (t *transport) networkError(ctx context.Context, err error, unsent bool) *Error {
	for ue := (*url.Error)(nil); errors.As(err, &ue); {
		err = ue.Err
	}
	if p := (*permitError)(nil); errors.As(err, &p) {
		return errNotPermitted(p.err)
	}
	e := &Error{Code: CodeNetwork, Detail: t.clean(err.Error()), Outcome: Unknown, cause: err}
	var op *net.OpError
	if unsent || errors.As(err, &op) && op.Op == "dial" {
		e.Outcome = NotExecuted
	}
	switch {
	case ctx.Err() != nil:
		e.Detail, e.cause = ErrClosed.Error(), ErrClosed
	case errors.Is(err, context.DeadlineExceeded):
		// The caller's own time is not over, so its error is not this one.
		e.Detail, e.cause = fmt.Sprintf("no answer within %s", t.cfg.Timeout), nil
	case e.Detail != err.Error():
		e.cause = nil // it would tell what Detail does not
	}
	return e
}

// moved describes a redirect, such as that of a portal that was renamed. It is not
// followed: the new address would get the secret, and POST would become GET.
func (t *transport) moved(from *url.URL, resp *http.Response) *Error {
	e := &Error{Status: resp.StatusCode, Code: CodeMoved, Outcome: NotExecuted}
	location := resp.Header.Get("Location")
	to, err := from.Parse(location)
	where := "the webhook's URL"
	if t.auth != nil {
		where = "oauth.portal"
	}
	switch {
	case err != nil || location == "":
		e.Detail = "the portal has moved to another address: put that into " + where
	case from.Scheme == "http" && to.Scheme == "https" && strings.EqualFold(to.Hostname(), from.Hostname()):
		e.Detail = "the portal takes encrypted requests only: write https:// in " + where
		return e
	case !strings.EqualFold(to.Host, from.Host):
		e.Detail = fmt.Sprintf("the portal has moved to %.100s: put that into %s", t.clean(to.Host), where)
	default: // a form to log in, or a page about maintenance
		e.Code, e.passing = CodeBadAnswer, true
		e.Detail = fmt.Sprintf("the answer (status %d) is a redirect to %.100s on the same host", resp.StatusCode, t.clean(to.Path))
		return e
	}
	if t.auth != nil {
		e.Detail += " and install the application again"
	}
	return e
}

// noRESTAnswer describes an answer that is no REST answer: HTML of a proxy, JSON
// that was cut off.
func noRESTAnswer(status int, data []byte) *Error {
	what := "is cut off or no REST answer"
	if t := bytes.TrimSpace(data); len(t) > 0 && t[0] == '<' {
		what = "is HTML"
	} else if len(t) == 0 {
		what = "is empty"
	}
	e := &Error{Status: status, Code: CodeBadAnswer, Detail: fmt.Sprintf("the answer (status %d) %s", status, what), Outcome: Unknown}
	if turnedAway(status) {
		e.Outcome = NotExecuted
		e.passing = status != http.StatusNotFound
	}
	return e
}

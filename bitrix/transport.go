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
)

// envelope is what every method answers when it succeeds.
type envelope struct {
	status      int
	result      json.RawMessage
	total, next int
	time        callTime
}

// single makes one call as a request of its own.
func (c *Client) single(cmd *command) reply {
	body, err := cmd.body()
	if err != nil {
		return reply{Answer: noAnswer(nil), err: &Error{Code: codeArgument, Detail: "the parameters cannot be sent: " + err.Error(), Outcome: NotExecuted}}
	}
	env, fault := c.post(cmd.call.Method, body, 1)
	if fault != nil {
		return reply{Answer: noAnswer(nil), err: fault}
	}
	c.noteTime(cmd.call.Method, env.time, time.Now())
	return reply{Answer: Answer{Result: env.result, Total: env.total, Next: env.next}}
}

// post sends a request and reads its envelope. An application whose token has
// expired gets another one and sends the request once more: the portal refused
// it before it looked at it.
func (c *Client) post(method string, body []byte, commands int) (*envelope, *Error) {
	if c.auth == nil {
		return c.request(method, c.base, body, commands)
	}
	t, fault := c.auth.now(c.life)
	if fault != nil {
		return nil, fault.of(method)
	}
	env, fault := c.request(method, t.Endpoint, c.auth.sign(body, t), commands)
	if fault == nil || fault.code() != codeExpired && fault.code() != codeInvalid {
		return env, fault
	}
	if t, fault = c.auth.renew(c.life, t.Access); fault != nil {
		return nil, fault.of(method)
	}
	c.requests.Add(1)
	c.bucket.Take(time.Now())
	return c.request(method, t.Endpoint, c.auth.sign(body, t), commands)
}

// request makes one HTTP request and reads the envelope of its answer.
func (c *Client) request(method, base string, body []byte, commands int) (*envelope, *Error) {
	started := time.Now()
	status, data, fault := c.exchange(base+method, body)
	var env *envelope
	if fault == nil {
		env, fault = c.open(status, data)
	}
	attrs := []slog.Attr{
		slog.String("method", method), slog.Int("status", status), slog.Duration("duration", time.Since(started)),
		slog.Int("commands", commands), slog.Int("bytes", len(data)),
	}
	if fault != nil {
		if fault.Outcome == Unknown && (status == 0 || status == http.StatusGatewayTimeout) {
			fault.Settled = started.Add(max(0, c.cfg.Settle)) // nobody has said that it has ended
		}
		fault.Method = method
		attrs = append(attrs, slog.String("error", fault.Error()))
	}
	c.log.LogAttrs(c.life, slog.LevelDebug, "request", attrs...)
	return env, fault
}

// open reads an answer. Nothing in it is taken for granted: portals answer
// errors with status 200, numbers as text, [] for an empty object, and what
// stands before them answers HTML.
func (c *Client) open(status int, data []byte) (*envelope, *Error) {
	var raw struct {
		Result      json.RawMessage `json:"result"`
		Total       json.RawMessage `json:"total"`
		Next        json.RawMessage `json:"next"`
		Time        json.RawMessage `json:"time"`
		Error       json.RawMessage `json:"error"`
		Description json.RawMessage `json:"error_description"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, unreadable(status, data)
	}
	if e := string(raw.Error); e != "" && e != "null" && e != "false" {
		fault := &Error{Status: status, Code: looseText(raw.Error), Detail: looseText(raw.Description)}
		if e[0] == '{' { // REST 3.0 puts an object there
			var v3 struct{ Code, Message string }
			_ = json.Unmarshal(raw.Error, &v3) // what it lacks stays empty
			fault.Code, fault.Detail = v3.Code, v3.Message
		}
		fault.Code, fault.Detail = c.clean(fault.Code), c.clean(fault.Detail)
		fault.Outcome = outcomeOf(status, fault.Code)
		return nil, fault
	}
	if raw.Result == nil || status < 200 || status > 299 {
		return nil, unreadable(status, data)
	}
	return &envelope{
		status: status, result: raw.Result, total: looseInt(raw.Total), next: looseInt(raw.Next), time: decodeTime(raw.Time),
	}, nil
}

// maxDetail is how much of a portal's text an error keeps.
const maxDetail = 500

// clean takes our secrets out of a text of the portal, and shortens it.
func (c *Client) clean(text string) string {
	text = c.scrubber().Replace(strings.ToValidUTF8(text, "\uFFFD"))
	if r := []rune(text); len(r) > maxDetail {
		text = string(r[:maxDetail]) + "…"
	}
	return text
}

// callTime is the part of an answer's time that says how much its method has
// been used.
type callTime struct {
	known   bool
	used    time.Duration
	resetIn time.Duration
}

func (c *Client) noteTime(method string, t callTime, now time.Time) {
	if t.known {
		c.operating.Note(method, t.used, t.resetIn, now)
	}
}

// decodeTime reads an answer's time, which may be missing or [].
func decodeTime(data json.RawMessage) callTime {
	var raw struct {
		Operating json.RawMessage `json:"operating"`
		ResetAt   json.RawMessage `json:"operating_reset_at"`
		Finish    json.RawMessage `json:"finish"`
	}
	if json.Unmarshal(data, &raw) != nil {
		return callTime{}
	}
	used, ok := looseFloat(raw.Operating)
	if !ok || used < 0 {
		return callTime{}
	}
	t := callTime{known: true, used: seconds(used)}
	if reset, ok := looseFloat(raw.ResetAt); ok && reset > 0 {
		// The portal's clock need not be ours.
		now, ok := looseFloat(raw.Finish)
		if !ok || now <= 0 {
			now = float64(time.Now().UnixNano()) / 1e9
		}
		t.resetIn = min(max(0, seconds(reset-now)), operatingWindow)
	}
	return t
}

// operatingWindow is what operating adds up; no reset is further away.
const operatingWindow = 10 * time.Minute

func seconds(f float64) time.Duration {
	return time.Duration(min(max(f, -1e6), 1e6) * float64(time.Second))
}

// exchange makes the HTTP request. The callers' contexts do not end it: others
// wait for the same answer, and a write that was sent has been sent.
func (c *Client) exchange(address string, body []byte) (status int, data []byte, fault *Error) {
	if c.cfg.Gate != nil {
		if err := c.cfg.Gate(); err != nil {
			return 0, nil, barred(err)
		}
	}
	ctx, cancel := context.WithTimeout(c.life, c.cfg.Timeout)
	defer cancel()
	var dialing, connected atomic.Bool
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { dialing.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, &Error{Code: codeArgument, Detail: "the request cannot be made", Outcome: NotExecuted}
	}
	c.gate(req, body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, c.networkError(err, dialing.Load() && !connected.Load())
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return resp.StatusCode, nil, c.moved(resp)
	}
	data, err = io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxAnswer+1))
	if err != nil {
		return resp.StatusCode, nil, c.networkError(err, false)
	}
	if int64(len(data)) > c.cfg.MaxAnswer {
		return resp.StatusCode, nil, &Error{Status: resp.StatusCode, Code: CodeBadAnswer, Detail: fmt.Sprintf("the answer is larger than %d bytes", c.cfg.MaxAnswer), Outcome: Unknown}
	}
	return resp.StatusCode, data, nil
}

// networkError describes a failed exchange without the URL, which has the
// secret in its path. unsent says that there never was a connection.
func (c *Client) networkError(err error, unsent bool) *Error {
	for ue := (*url.Error)(nil); errors.As(err, &ue); {
		err = ue.Err
	}
	if g := (*gateError)(nil); errors.As(err, &g) {
		return barred(g.err)
	}
	e := &Error{Code: CodeNetwork, Detail: c.clean(err.Error()), Outcome: Unknown, cause: err}
	var op *net.OpError
	if unsent || errors.As(err, &op) && op.Op == "dial" {
		e.Outcome = NotExecuted
	}
	switch {
	case c.life.Err() != nil:
		e.Detail, e.cause = ErrClosed.Error(), ErrClosed
	case errors.Is(err, context.DeadlineExceeded):
		// The caller's own time is not over, so its error is not this one.
		e.Detail, e.cause = fmt.Sprintf("no answer within %s", c.cfg.Timeout), nil
	case e.Detail != err.Error():
		e.cause = nil // it would tell what Detail does not
	}
	return e
}

// moved describes the redirect of a portal that was renamed. It is not
// followed: the new address would get the secret, and POST would become GET.
func (c *Client) moved(resp *http.Response) *Error {
	host := "another address"
	if u, err := resp.Location(); err == nil && u.Host != "" {
		host = u.Host
	}
	e := &Error{
		Status: resp.StatusCode, Code: CodeMoved, Outcome: NotExecuted,
		Detail: fmt.Sprintf("the portal has moved to %.100s: put that into the webhook's URL", host),
	}
	if c.auth != nil {
		e.Detail = fmt.Sprintf("the portal has moved to %.100s: put that into oauth.portal and install the application anew", host)
	}
	return e
}

// unreadable describes an answer that is no REST answer: HTML of a proxy, JSON
// that was cut off.
func unreadable(status int, data []byte) *Error {
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

package bitrix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"time"

	"b24rules/bitrix/php"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// envelope is what every method answers.
type envelope struct {
	Result      json.RawMessage `json:"result"`
	Total       *int            `json:"total"`
	Next        *int            `json:"next"`
	Time        *answerTime     `json:"time"`
	Error       json.RawMessage `json:"error"`
	Description string          `json:"error_description"`
}

// answerTime is the part of time that says how much a method has been used.
type answerTime struct {
	Operating *float64 `json:"operating"`
	ResetAt   int64    `json:"operating_reset_at"`
}

func (e *envelope) answer() Answer {
	a := Answer{Result: e.Result, Total: -1, Next: -1}
	if e.Total != nil {
		a.Total = *e.Total
	}
	if e.Next != nil {
		a.Next = *e.Next
	}
	return a
}

// single makes one call as a request of its own.
func (c *Client) single(call Call) answer {
	params := call.Params
	if params == nil {
		params = map[string]any{}
	}
	env, err := c.post(call.Method, params)
	if err != nil {
		return answer{Answer: Answer{Total: -1, Next: -1}, err: err}
	}
	c.operating.note(call.Method, env.Time)
	return answer{Answer: env.answer()}
}

// post sends a request and reads its envelope.
func (c *Client) post(method string, params any) (*envelope, *Error) {
	body, err := json.Marshal(params)
	if err != nil {
		return nil, &Error{Code: "ERROR_ARGUMENT", Detail: "the parameters cannot be sent: " + err.Error(), Outcome: NotExecuted}
	}
	started := time.Now()
	status, data, fault := c.exchange(method, body)
	c.log.Debug("request", "method", method, "status", status, "took", time.Since(started), "bytes", len(data))
	if fault != nil {
		return nil, fault
	}
	var env envelope
	if err := json.Unmarshal(data, &env); err != nil {
		return nil, unreadable(status, data)
	}
	if len(env.Error) > 0 {
		e := &Error{Status: status, Code: looseText(env.Error), Detail: env.Description}
		e.Outcome = outcomeOf(status, e.Code)
		return nil, e
	}
	if env.Result == nil || status != http.StatusOK {
		return nil, unreadable(status, data)
	}
	return &env, nil
}

// exchange makes the HTTP request. The callers' contexts do not end it: others
// wait for the same answer, and a write that was sent has been sent.
func (c *Client) exchange(method string, body []byte) (status int, data []byte, fault *Error) {
	sent := false
	trace := &httptrace.ClientTrace{WroteHeaders: func() { sent = true }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(c.life, trace), http.MethodPost, c.base+method, bytes.NewReader(body))
	if err != nil {
		return 0, nil, &Error{Code: "ERROR_ARGUMENT", Detail: fmt.Sprintf("%.60q is no method name", method), Outcome: NotExecuted}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, networkError(err, sent)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return resp.StatusCode, nil, moved(resp)
	}
	data, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return resp.StatusCode, nil, networkError(err, true)
	}
	if len(data) > maxAnswer {
		return resp.StatusCode, nil, &Error{Status: resp.StatusCode, Code: CodeBadAnswer, Detail: "the answer is larger than 64 MiB", Outcome: Unknown}
	}
	return resp.StatusCode, data, nil
}

// networkError describes a failed exchange without the URL, which has the
// secret in its path.
func networkError(err error, sent bool) *Error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	e := &Error{Code: CodeNetwork, Detail: err.Error(), Outcome: NotExecuted, cause: err}
	if sent {
		e.Outcome = Unknown
	}
	if errors.Is(err, context.Canceled) {
		e.cause = ErrClosed
	}
	return e
}

// moved describes the redirect of a portal that was renamed. Following it would
// turn POST into GET.
func moved(resp *http.Response) *Error {
	host := "another address"
	if u, err := resp.Location(); err == nil {
		host = u.Host
	}
	return &Error{Status: resp.StatusCode, Code: CodeMoved, Detail: "the portal has moved to " + host + ": put that into the webhook's URL", Outcome: NotExecuted}
}

// unreadable describes an answer that is no REST answer: HTML of a proxy, JSON
// that was cut off.
func unreadable(status int, data []byte) *Error {
	what := "is cut off or no JSON"
	if t := bytes.TrimSpace(data); len(t) > 0 && t[0] == '<' {
		what = "is HTML"
	} else if len(t) == 0 {
		what = "is empty"
	}
	e := &Error{Status: status, Code: CodeBadAnswer, Detail: fmt.Sprintf("the answer (status %d) %s", status, what), Outcome: Unknown}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		e.Outcome = NotExecuted
	}
	return e
}

// batchAnswer is the result of a batch. Each member is an object, or a list or
// [] where PHP writes one.
type batchAnswer struct {
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"result_error"`
	Total  json.RawMessage `json:"result_total"`
	Next   json.RawMessage `json:"result_next"`
	Time   json.RawMessage `json:"result_time"`
}

// batch makes one request of several commands, each with an answer of its own.
func (c *Client) batch(commands []command) []answer {
	out := make([]answer, len(commands))
	cmds := php.NewArray()
	for i, cmd := range commands {
		out[i].Total, out[i].Next = -1, -1
		query, err := commandString(cmd.call())
		if err != nil {
			out[i].err = &Error{Code: "ERROR_ARGUMENT", Detail: "the parameters cannot be sent: " + err.Error(), Outcome: NotExecuted}
			continue
		}
		cmds.Set(commandKey(i), query)
	}
	if cmds.Len() == 0 {
		return out
	}
	body := php.NewArray()
	body.Set("halt", json.Number("0"))
	body.Set("cmd", cmds)
	env, fault := c.post("batch", body)
	var members map[string]map[string]json.RawMessage
	if fault == nil {
		members, fault = batchMembers(env.Result)
	}
	for i, cmd := range commands {
		switch {
		case out[i].err != nil:
		case fault != nil:
			e := *fault
			out[i].err = &e
		default:
			out[i] = c.batchItem(cmd.call().Method, commandKey(i), members)
		}
	}
	return out
}

// commandKey names a command of a batch. A key that is no number keeps the
// answer an object.
func commandKey(i int) string { return "c" + strconv.Itoa(i) }

func commandString(call Call) (string, error) {
	v, err := php.FromGo(call.Params)
	if err != nil {
		return "", err
	}
	a, ok := v.(*php.Array)
	if !ok || a.Len() == 0 {
		return call.Method, nil
	}
	return call.Method + "?" + php.BuildQuery(a), nil
}

func batchMembers(data json.RawMessage) (map[string]map[string]json.RawMessage, *Error) {
	var raw batchAnswer
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, &Error{Code: CodeBadAnswer, Detail: "the batch's result has another shape", Outcome: Unknown, cause: err}
	}
	out := map[string]map[string]json.RawMessage{}
	for name, member := range map[string]json.RawMessage{"result": raw.Result, "error": raw.Error, "total": raw.Total, "next": raw.Next, "time": raw.Time} {
		m, err := looseMap(member)
		if err != nil {
			return nil, &Error{Code: CodeBadAnswer, Detail: "the batch's result_" + name + " has another shape", Outcome: Unknown, cause: err}
		}
		out[name] = m
	}
	return out, nil
}

// batchItem reads the answer of one command. HTTP 200 says nothing about it.
func (c *Client) batchItem(method, key string, members map[string]map[string]json.RawMessage) answer {
	a := answer{Answer: Answer{Total: -1, Next: -1}}
	if raw, failed := members["error"][key]; failed {
		var item struct {
			Error       json.RawMessage `json:"error"`
			Description string          `json:"error_description"`
		}
		if json.Unmarshal(raw, &item) != nil {
			item.Description = looseText(raw)
		}
		a.err = &Error{Code: looseText(item.Error), Detail: item.Description}
		a.err.Outcome = outcomeOf(0, a.err.Code)
		return a
	}
	result, ok := members["result"][key]
	if !ok {
		a.err = &Error{Code: CodeBadAnswer, Detail: "the batch has no answer for the command", Outcome: Unknown}
		return a
	}
	a.Result = result
	a.Total, a.Next = looseInt(members["total"][key]), looseInt(members["next"][key])
	if raw, ok := members["time"][key]; ok {
		var t answerTime
		if json.Unmarshal(raw, &t) == nil {
			c.operating.note(method, &t)
		}
	}
	return a
}

func looseInt(raw json.RawMessage) int {
	if len(raw) == 0 {
		return -1
	}
	n, err := strconv.Atoi(looseText(raw))
	if err != nil {
		return -1
	}
	return n
}

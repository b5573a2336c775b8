package actions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/actions/internal/outside"
	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// HTTP sends a request to a system that is not the portal.
var HTTP = engine.Define(engine.Spec[httpArgs]{
	Name:       "http",
	Effect:     engine.Writes,
	AlsoCalled: []string{"request", "fetch", "curl", "http_get", "http_request"},
	Doc: `send an HTTP request to another system

The method is GET without content, and POST with json, form or text. A request
with GET or HEAD reads: it is sent in every run, also by plan. All others write,
and a write is sent at least once. If its answer is lost, the step sends it again
with the same Idempotency-Key header, so that the other system can recognise it.
A write that was answered with 2xx is not sent again when the run is repeated,
and its result then has no status and no body. Add entered or once to such a
step, or it sends a request at every edit.

A 2xx answer is a success. After 429, 5xx or a broken connection the run is
retried, not before the time of Retry-After. Any other answer fails the step. The
step follows redirects only on the same host; those of a write only with 307 and
308. The request may take 30 seconds, or less with the timeout of the step. The
answer may have 1 MiB.

The path and the query of the URL, the query, headers, form and json may have
inputs of type secret, alone or in {{ }}. A secret is filled in when the request
is sent, and nothing else shows it. The whole url may be a secret too. The
connection is encrypted: http:// is allowed only for this machine, or with
plain_http: true.

The result has the status and the body: decoded if it is JSON, otherwise as text.`,
	Says: "sends a request to {url}{ by @method}",
	Run:  sendHTTP,
	Result: func(t *engine.ArgTypes) formula.Type {
		status := formula.Type{Kind: formula.Int, Maybe: httpEffect(t) == engine.Writes}
		return formula.RecordOf(map[string]formula.Type{"status": status, "body": {Kind: formula.Any, Maybe: true}})
	},
	EffectOf: httpEffect,
	// A request to another system changes nothing that a rule could subscribe to.
	Touches: func(*engine.ArgTypes) []engine.Touch { return nil },
	Check:   checkHTTP,
})

type httpArgs struct {
	URL       engine.SecretURL    `yaml:"url" validate:"required" doc:"the URL, which may have secrets in its path and query" example:"https://api.telegram.org/bot{{ inputs.token }}/sendMessage"`
	Method    string              `yaml:"method" validate:"omitempty,oneof=GET HEAD POST PUT PATCH DELETE" doc:"the method; without it GET, or POST with content"`
	Query     engine.SecretRecord `yaml:"query" doc:"parameters that are added to the URL; a list adds one for each element" example:"{base: =deal.currencyId}"`
	Headers   engine.SecretFields `yaml:"headers" doc:"more headers" example:"{Authorization: 'Bearer {{ inputs.token }}'}"`
	JSON      engine.SecretValue  `yaml:"json" doc:"the value to send as JSON; a member with omit is not sent" example:"{chat_id: =inputs.chat, text: Won}"`
	Form      engine.SecretRecord `yaml:"form" doc:"the fields of a form to send" example:"{id: =event.id}"`
	Text      *string             `yaml:"text" doc:"the text to send; the header Content-Type may say what it is" example:"{{ deal.title }}"`
	PlainHTTP bool                `yaml:"plain_http" default:"false" doc:"allows http://, where others on the network can read and change the request"`
}

// httpContent are the arguments for the content of a request. Only one may be given.
var httpContent = []string{"json", "form", "text"}

// httpMethod returns the method of a step as the file says it.
func httpMethod(t *engine.ArgTypes) string {
	if v, ok := t.Const("method"); ok {
		if name, _ := v.(string); name != "" {
			return name
		}
	}
	if slices.ContainsFunc(httpContent, t.Written) {
		return http.MethodPost
	}
	return http.MethodGet
}

func httpEffect(t *engine.ArgTypes) engine.Effect {
	if t.Given("method") {
		if _, ok := t.Const("method"); !ok {
			return engine.Writes
		}
	}
	if engine.ReadsByMethod(httpMethod(t)) {
		return engine.Reads
	}
	return engine.Writes
}

// tokenInURL matches tokens that well-known systems have in their URLs.
var tokenInURL = regexp.MustCompile(`/bot\d+:[\w-]{20,}|hooks\.slack\.com/services/\w+/\w+/\w+|discord(?:app)?\.com/api/webhooks/\d+/[\w-]{20,}|[?&](?:token|api_?key|access_token|secret|auth)=[\w-]{12,}|/rest/\d+/[a-z0-9]{10,}(?:/|$)`)

// checkHTTP finds a wrong URL, header or content when the file is loaded, and warns of a
// write that is sent in every run.
func checkHTTP(c *engine.StepCheck) {
	t := c.Types()
	checkRequestURL(c)
	if t.Given("method") {
		if _, ok := t.Const("method"); !ok {
			c.Errorf("method", "invalid-value", "the method is a word in the rule file, because it decides whether the request reads or writes").Hint = "method: POST"
		}
	}
	method, content := httpMethod(t), ""
	for _, name := range httpContent {
		switch {
		case !t.Written(name):
		case content != "":
			c.Errorf(name, "invalid-value", "a request has one content, and this one has %s already", content).Hint = "write json, form or text"
		case engine.ReadsByMethod(method):
			c.Errorf(name, "invalid-value", "%s sends no content", method).Hint = "write query, or another method"
		default:
			content = name
		}
	}
	c.EachName("headers", func(n engine.NamedArg) {
		if err := outside.CheckHeader(n.Name, content == "text"); err != nil {
			n.WarnNamef("invalid-value", "%s", err)
		}
	})
	if httpEffect(t) == engine.Writes && !c.Remembers() && !c.Ordered() {
		c.Warnf("url", "at-least-once", "the request is sent in every run of the rule, and again when its answer is lost").Hint = "add once with the value that allows one request, such as once: =deal.stageId"
	}
}

// checkRequestURL finds a wrong URL, and a token that the file holds.
func checkRequestURL(c *engine.StepCheck) {
	t := c.Types()
	plain, _ := t.Const("plain_http")
	v, ok := t.Const("url")
	if text, isText := v.(string); ok && isText {
		if _, err := outside.ParseURL(text, plain == true || t.Given("plain_http") && plain == nil); err != nil {
			c.Errorf("url", "invalid-value", "%s", err)
		} else if tokenInURL.MatchString(text) {
			c.Warnf("url", "secret-in-file", "the rule file holds the secret value of the URL, and everybody who reads the file can use it").
				Hint = "inputs: {token: {type: secret}}, and write {{ inputs.token }}"
		}
	}
}

func sendHTTP(ctx context.Context, c *engine.Call, a httpArgs) (any, error) {
	r := engine.Request{Method: a.Method, Headers: slices.Clone(a.Headers), Params: map[string]any{}}
	if err := a.content(&r); err != nil {
		return nil, err
	}
	if r.Method == "" {
		r.Method = http.MethodGet
		if r.Type != "" {
			r.Method = http.MethodPost
		}
	}
	if r.Method != http.MethodGet && (r.Method != http.MethodPost || r.Type == "") {
		r.Params["method"] = r.Method
	}
	u, err := outside.ParseURL(a.URL.Reveal(), a.PlainHTTP)
	if err != nil {
		return nil, engine.ParkError("%w", err)
	}
	r.Params["url"] = a.URL.String()
	if names, _ := a.Query.Reveal().(map[string]any); len(names) > 0 {
		query, err := encodeNames(names)
		if err != nil {
			return nil, engine.ParkError("query: %w", err)
		}
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+query, "&")
		r.Params["query"] = a.Query.Shown()
	}
	r.URL = a.URL.Showing(u.String())
	return exchange(ctx, c, r)
}

// content stores the content of a request.
func (a httpArgs) content(r *engine.Request) error {
	switch {
	case a.JSON.Given():
		open, err := jsonOf(a.JSON.Reveal())
		if err != nil {
			return engine.ParkError("json: %w", err)
		}
		shown, err := jsonOf(a.JSON.Shown())
		if err != nil {
			return engine.ParkError("json: %w", err)
		}
		r.Type, r.Body, r.Params["json"] = "application/json", engine.NewSecretText(string(open), string(shown)), shown
	case a.Form.Given():
		names, _ := a.Form.Reveal().(map[string]any)
		text, err := encodeNames(names)
		if err != nil {
			return engine.ParkError("form: %w", err)
		}
		shown, err := jsonOf(a.Form.Shown())
		if err != nil {
			return engine.ParkError("form: %w", err)
		}
		r.Type, r.Body, r.Params["form"] = "application/x-www-form-urlencoded", engine.NewSecretText(text, string(shown)), a.Form.Shown()
	case a.Text != nil:
		r.Type, r.Body, r.Params["text"] = "text/plain; charset=utf-8", engine.PlainText(*a.Text), *a.Text
	}
	return nil
}

// encodeNames writes names and values as a query or a form.
func encodeNames(names map[string]any) (string, error) {
	out := url.Values{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list, isList := names[name].([]any)
		if !isList {
			list = []any{names[name]}
		}
		for _, v := range list {
			if v == nil {
				return "", fmt.Errorf("%s has no value: write omit to send nothing, or \"\" for an empty one", name)
			}
			text, err := formula.ToText(v)
			if err != nil {
				return "", fmt.Errorf("%s is %s, which a URL and a form cannot hold", name, engine.KindOf(v))
			}
			out.Add(name, text)
		}
	}
	return out.Encode(), nil
}

// exchange sends a request and returns the result of the step. A write that an earlier
// attempt has sent is not sent again.
func exchange(ctx context.Context, c *engine.Call, r engine.Request) (any, error) {
	for _, h := range r.Headers {
		if err := outside.CheckHeaderValue(h, strings.HasPrefix(r.Type, "text/")); err != nil {
			return nil, engine.ParkError("%w", err)
		}
	}
	what := "the request"
	if u, err := url.Parse(r.URL.String()); err == nil && u.Host != "" {
		what += " to " + u.Host
	}
	if !r.Reads() {
		if done, err := wasDone(ctx, c, c.Key, what); done || err != nil {
			return result(nil, nil), err
		}
		if !slices.ContainsFunc(r.Headers, func(h engine.SecretField) bool { return strings.EqualFold(h.Name, engine.KeyHeader) }) {
			// Of the texts without secrets, because the history shows the key.
			key := c.EffectKey([]byte(r.URL.String() + "\n" + r.Body.String()))
			r.Headers = append(r.Headers, engine.SecretField{Name: engine.KeyHeader, Value: engine.PlainText(key)})
		}
	}
	reply, sent, err := c.Send(ctx, r, outside.Send)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if !sent {
		return result(count(http.StatusOK), nil), nil
	}
	if err := refusal(what, reply); err != nil {
		return nil, err
	}
	if r.Reads() {
		return answered(what, reply)
	}
	if err := isDone(ctx, c, c.Key, what); err != nil {
		return nil, err
	}
	if reply.Lost != "" {
		c.Note("%s succeeded, but %s", what, reply.Lost)
	}
	body, ok := bodyOf(reply)
	if !ok {
		c.Note("the answer is neither JSON nor text, so the result has no body")
	}
	return result(count(reply.Status), body), nil
}

// answered is the result of a read. An answer that is not whole is an error, because the
// rule would take it for an empty one.
func answered(what string, r engine.Reply) (any, error) {
	if r.Lost != "" {
		return nil, fmt.Errorf("%s succeeded, but %s", what, r.Lost)
	}
	body, ok := bodyOf(r)
	if !ok {
		return nil, engine.ParkError("%s was answered with neither JSON nor text", what)
	}
	return result(count(r.Status), body), nil
}

// result is the result of the step. An unknown status or body is nil.
func result(status, body any) map[string]any {
	return map[string]any{"status": status, "body": body}
}

// refusal returns the error for an answer without success. The kind of the error
// says whether a retry may help.
func refusal(what string, r engine.Reply) error {
	switch {
	case r.Status/100 == 2:
		return nil
	case r.Status == http.StatusTooManyRequests || r.Status/100 == 5:
		return &engine.LaterError{NotBefore: r.RetryAfter, Err: fmt.Errorf("%s was answered %s", what, statusText(r))}
	case r.Status/100 == 3:
		return engine.ParkError("%s was answered %s: only redirects to the same host are followed, those of a write only with 307 and 308; write the final address", what, statusText(r))
	}
	return engine.ParkError("%s was answered %s", what, statusText(r))
}

// maxExcerpt is how many characters of an answer an error shows.
const maxExcerpt = 200

func statusText(r engine.Reply) string {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", r.Status, http.StatusText(r.Status)))
	words := strings.Join(strings.Fields(strings.ToValidUTF8(string(r.Body), "")), " ")
	if words == "" {
		return text
	}
	if runes := []rune(words); len(runes) > maxExcerpt {
		words = string(runes[:maxExcerpt]) + "…"
	}
	return text + ": " + words
}

// bodyOf is the answer as a formula's value, nil when it is empty. ok is false if it is
// neither JSON nor text.
func bodyOf(r engine.Reply) (v any, ok bool) {
	if len(bytes.TrimSpace(r.Body)) == 0 {
		return nil, true
	}
	if v, err := formula.FromJSON(r.Body); err == nil {
		return v, true
	}
	if !utf8.Valid(r.Body) {
		return nil, false
	}
	return string(r.Body), true
}

// jsonOf writes a value as JSON with its members in a fixed order.
func jsonOf(v any) (json.RawMessage, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value.ToJSON(v)); err != nil {
		return nil, fmt.Errorf("the value cannot be written as JSON: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

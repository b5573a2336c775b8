package actions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// HTTPPost sends JSON to a system that is not the portal.
var HTTPPost = engine.Define(engine.Spec[httpPostArgs]{
	Name:       "http_post",
	Effect:     engine.Writes,
	AlsoCalled: []string{"request", "http", "webhook"},
	Doc: `send JSON to another system by HTTP POST

A 2xx answer is a success. After 429, 5xx or a broken connection the run is
retried, not before the time of Retry-After. Any other answer fails the step. The
step follows redirects only on the same host (307 and 308). The request may take
30 seconds, or less with the timeout of the step. The answer may have 1 MiB.

A request is sent at least once. If its answer is lost, the step sends it again
with the same Idempotency-Key header, so that the other system can recognise it.
A request that was answered with 2xx is not sent again when the run is repeated,
and its result then has no status and no body. Add once to the step, or it sends
a request at every edit.

A header may be an input of type secret, or include one in {{ }}. The secret is
filled in when the request is sent, and the history does not show it. Other
arguments refuse secrets. The connection is encrypted: http:// is allowed only
for this machine, or with plain_http: true.

The result has the status and the body: decoded if it is JSON, otherwise as text.`,
	Says: "posts to {url}: {body}",
	Run:  httpPost,
	Result: func(*engine.ArgTypes) formula.Type {
		return formula.RecordOf(map[string]formula.Type{"status": {Kind: formula.Int, Maybe: true}, "body": {Kind: formula.Any, Maybe: true}})
	},
	// A request to another system changes nothing that a rule could subscribe to.
	Touches: func(*engine.ArgTypes) []engine.Touch { return nil },
	Check:   checkHTTPPost,
})

type httpPostArgs struct {
	URL       engine.URL          `yaml:"url" validate:"required" doc:"the address" example:"https://stock.example.com/reservations"`
	Body      any                 `yaml:"body" validate:"required" doc:"the value to send as JSON; a member with omit is not sent" example:"{deal: =deal.id, sum: =deal.opportunity}"`
	Headers   engine.SecretFields `yaml:"headers" doc:"more headers, which may have secrets" example:"{Authorization: 'Bearer {{ inputs.token }}'}"`
	PlainHTTP bool                `yaml:"plain_http" default:"false" doc:"allows http://, where others on the network can read and change the request"`
}

// checkHTTPPost finds a wrong address or header when the file is loaded, and
// warns of a request that is sent in every run.
func checkHTTPPost(c *engine.StepCheck) {
	t := c.Types()
	plain, _ := t.Const("plain_http")
	if v, ok := t.Const("url"); ok {
		text, _ := v.(string)
		if _, err := postURL(text, plain == true || t.Given("plain_http") && plain == nil); err != nil {
			c.Errorf("url", "invalid-value", "%s", err)
		}
	}
	c.EachName("headers", func(n engine.NamedArg) {
		if err := checkHeader(n.Name); err != nil {
			n.WarnNamef("invalid-value", "%s", err)
		}
	})
	if !c.Remembers() {
		c.Warnf("url", "at-least-once", "the request is sent in every run of the rule, and again when its answer is lost").Hint = "add once with the value that allows one request, such as once: =deal.stageId"
	}
}

func httpPost(ctx context.Context, c *engine.Call, a httpPostArgs) (any, error) {
	u, err := postURL(string(a.URL), a.PlainHTTP)
	if err != nil {
		return nil, engine.ParkError("http_post: %w", err)
	}
	p := engine.Post{URL: u.String(), Headers: slices.Clone(a.Headers)}
	for _, h := range a.Headers {
		if err := checkHeaderValue(h); err != nil {
			return nil, engine.ParkError("http_post: %w", err)
		}
	}
	if p.Body, err = postBody(a.Body); err != nil {
		return nil, engine.ParkError("http_post: %w", err)
	}
	what := "the request to " + u.Host
	if done, err := wasDone(ctx, c, c.Key, what); done || err != nil {
		return posted(nil, nil), err
	}
	if !slices.ContainsFunc(p.Headers, func(h engine.SecretField) bool { return strings.EqualFold(h.Name, engine.KeyHeader) }) {
		key := c.EffectKey(append([]byte(p.URL+"\n"), p.Body...))
		p.Headers = append(p.Headers, engine.SecretField{Name: engine.KeyHeader, Value: engine.PlainText(key)})
	}
	reply, sent, err := c.Post(ctx, p, sendPost)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if !sent {
		return posted(count(http.StatusOK), nil), nil
	}
	if err := refusal(what, reply); err != nil {
		return nil, err
	}
	if err := isDone(ctx, c, c.Key, what); err != nil {
		return nil, err
	}
	if reply.Lost != "" {
		c.Note("%s succeeded, but %s", what, reply.Lost)
	}
	return posted(count(reply.Status), replyBody(c, reply)), nil
}

// posted is the result of the step. An unknown status or body is nil.
func posted(status, body any) map[string]any {
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
		return engine.ParkError("%s was answered %s: only redirects to the same host with 307 and 308 are followed; write the final address", what, statusText(r))
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

// replyBody is the answer as a formula's value.
func replyBody(c *engine.Call, r engine.Reply) any {
	if len(bytes.TrimSpace(r.Body)) == 0 {
		return nil
	}
	if v, err := formula.FromJSON(r.Body); err == nil {
		return v
	}
	if !utf8.Valid(r.Body) {
		c.Note("the answer is neither JSON nor text, so the result has no body")
		return nil
	}
	return string(r.Body)
}

// postBody writes a value as JSON with its members in a fixed order.
func postBody(v any) (json.RawMessage, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value.ToJSON(v)); err != nil {
		return nil, fmt.Errorf("the body cannot be written as JSON: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

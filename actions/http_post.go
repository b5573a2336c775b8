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

An answer of 2xx is a success. 429 and 5xx are tried again, not before the time
that Retry-After gives, and so is a connection that breaks. Any other answer
fails the step. Redirects are followed on the same host alone (307 and 308). The
request may take 30 seconds, less with the step's timeout, and the answer may
have 1 MiB.

A request is sent at least once: when its answer is lost it is sent again, with
the same Idempotency-Key in its header, by which the system can tell. What was
answered with 2xx is not sent again when the run is repeated, and its result has
neither status nor body then. Give the step a once, or it is sent at every edit.

A header may be an input of type secret, or hold one in {{ }}. It is filled in
when the request is sent and stands in no history; elsewhere secrets are refused.
The connection is encrypted: http:// is taken for this machine only, or with
plain_http: true.

The result has the status and the body, decoded where it is JSON and else the
text.`,
	Says: "posts to {url}: {body}",
	Run:  httpPost,
	Result: func(*engine.ArgTypes) formula.Type {
		return formula.RecordOf(map[string]formula.Type{"status": {Kind: formula.Int, Maybe: true}, "body": {Kind: formula.Any, Maybe: true}})
	},
	// What another system is told changes nothing that a rule could hear.
	Touches: func(*engine.ArgTypes) []engine.Touch { return nil },
	Check:   checkHTTPPost,
})

type httpPostArgs struct {
	URL       string              `yaml:"url" validate:"required" doc:"where to" example:"https://stock.example.com/reservations"`
	Body      any                 `yaml:"body" validate:"required" doc:"what is sent, as JSON; omit leaves a member out" example:"{deal: =deal.id, sum: =deal.opportunity}"`
	Headers   engine.SecretFields `yaml:"headers" doc:"more headers, which may hold secrets" example:"{Authorization: 'Bearer {{ inputs.token }}'}"`
	PlainHTTP bool                `yaml:"plain_http" default:"false" doc:"takes http:// too, where everybody on the way can read and change what is sent"`
}

// checkHTTPPost finds a wrong address or header when the file is loaded, and
// warns of a request that is sent again and again.
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
	if !c.Once() {
		c.Warnf("url", "at-least-once", "it is sent in every run of the rule, and again when its answer is lost").Hint = "once: says for which value it is to be sent once, such as =deal.stageId"
	}
}

func httpPost(ctx context.Context, c *engine.Call, a httpPostArgs) (any, error) {
	u, err := postURL(a.URL, a.PlainHTTP)
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
		c.Note("%s was taken, but %s", what, reply.Lost)
	}
	return posted(count(reply.Status), replyBody(c, reply)), nil
}

// posted is the result of the step. nil is what is not known.
func posted(status, body any) map[string]any {
	return map[string]any{"status": status, "body": body}
}

// refusal says what an answer without success means: whether asking again may
// change it.
func refusal(what string, r engine.Reply) error {
	switch {
	case r.Status/100 == 2:
		return nil
	case r.Status == http.StatusTooManyRequests || r.Status/100 == 5:
		return &engine.LaterError{NotBefore: r.RetryAfter, Err: fmt.Errorf("%s was answered %s", what, statusText(r))}
	case r.Status/100 == 3:
		return engine.ParkError("%s was answered %s: redirects are followed on the same host alone, and only 307 and 308; give the address itself", what, statusText(r))
	}
	return engine.ParkError("%s was answered %s", what, statusText(r))
}

// maxExcerpt is how much of an answer an error tells.
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

// replyBody is the answer as formulas see it.
func replyBody(c *engine.Call, r engine.Reply) any {
	if len(bytes.TrimSpace(r.Body)) == 0 {
		return nil
	}
	if v, err := formula.FromJSON(r.Body); err == nil {
		return v
	}
	if !utf8.Valid(r.Body) {
		c.Note("the answer is neither JSON nor text, the result has no body")
		return nil
	}
	return string(r.Body)
}

// postBody writes a value as JSON, its members in a fixed order.
func postBody(v any) (json.RawMessage, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value.ToJSON(v)); err != nil {
		return nil, fmt.Errorf("the body cannot be written as JSON: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

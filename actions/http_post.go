package actions

import (
	"context"
	"net/http"
	"slices"

	"github.com/b24rules/b24rules/actions/internal/outside"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// HTTPPost sends JSON to a system that is not the portal.
var HTTPPost = engine.Define(engine.Spec[httpPostArgs]{
	Name:       "http_post",
	Effect:     engine.Writes,
	AlsoCalled: []string{"webhook"},
	Doc: `send JSON to another system by HTTP POST

This is the action http with POST and json. Use http for other methods and for
secrets in a URL or in the content.

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
	checkRequestURL(c)
	c.EachName("headers", func(n engine.NamedArg) {
		if err := outside.CheckHeader(n.Name, false); err != nil {
			n.WarnNamef("invalid-value", "%s", err)
		}
	})
	if !c.Remembers() && !c.Ordered() {
		c.Warnf("url", "at-least-once", "the request is sent in every run of the rule, and again when its answer is lost").Hint = "add once with the value that allows one request, such as once: =deal.stageId"
	}
}

func httpPost(ctx context.Context, c *engine.Call, a httpPostArgs) (any, error) {
	u, err := outside.ParseURL(string(a.URL), a.PlainHTTP)
	if err != nil {
		return nil, engine.ParkError("http_post: %w", err)
	}
	body, err := jsonOf(a.Body)
	if err != nil {
		return nil, engine.ParkError("http_post: %w", err)
	}
	return exchange(ctx, c, engine.Request{
		Method: http.MethodPost, URL: engine.PlainText(u.String()), Headers: slices.Clone(a.Headers),
		Type: "application/json", Body: engine.PlainText(string(body)), Params: map[string]any{"url": u.String(), "body": body},
	})
}

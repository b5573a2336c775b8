package bitrix

import (
	"context"

	"github.com/b24rules/b24rules/internal/charset"
)

// Encoding is the character encoding of a portal. The zero value is UTF-8.
type Encoding = charset.Encoding

// Windows1251 is the encoding of old self-hosted portals with Cyrillic texts.
const Windows1251 = charset.Windows1251

// refuse returns an error for each call with a text that the portal's encoding cannot
// hold, and for each write of a client that only reads; nil if there is none.
func refuse(cfg Config, calls []Call) map[int]*Error {
	var out map[int]*Error
	for i, call := range calls {
		var refused *Error
		if err := cfg.Encoding.Check(call.Params); err != nil {
			refused = &Error{Method: call.Method, Code: codeArgument, Detail: err.Error(), Outcome: NotExecuted, cause: err}
		} else if cfg.ReadOnly {
			refused = refuseWrite(call)
		}
		if refused == nil {
			continue
		}
		if out == nil {
			out = map[int]*Error{}
		}
		out[i] = refused
	}
	return out
}

// doOthers makes the calls without an error in refused.
func doOthers(ctx context.Context, c *Client, calls []Call, refused map[int]*Error) []Answer {
	var others []Call
	for i, call := range calls {
		if refused[i] == nil {
			others = append(others, call)
		}
	}
	answers := c.Do(ctx, others...)
	out := make([]Answer, len(calls))
	for i := range calls {
		if err := refused[i]; err != nil {
			out[i] = noAnswer(err)
			continue
		}
		out[i], answers = answers[0], answers[1:]
	}
	return out
}

package emulator_test

import (
	"testing"

	"github.com/b24rules/b24rules/emulator"
)

// TestAnotherClient lets a client from npm judge the portal that sends everything by GET and
// reads a list as a batch of its pages. It knows only that an answer has no error.
func TestAnotherClient(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	emulator.Demo(p.Portal)
	got := p.node(p.Portal, "../tools/restclient", "@2bad/bitrix", "deals.mjs")
	p.match("deals", `{"added":120,"list":{"total":120,"deals":120,"ascending":true,"same":true},"filtered":30,"updated":true,"got":"Changed",
		"deleted":true,"gone":"Response code 400 (Bad Request)","left":119,"named":1,
		"refused":"[batch] failed to process. Received errors in 1 commands","none":"Response code 404 (Not Found)"}`, got)
}

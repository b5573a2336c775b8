package bitrix

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Call is one REST call.
type Call struct {
	// Method is the method's name, such as crm.item.get.
	Method string
	// Params are the call's parameters: nested maps, slices, text, numbers,
	// booleans, nil and what marshals itself to JSON. A call with a value that a
	// batch cannot carry (nil, true, an empty list, text such as $result[x]) is
	// sent as a request of its own: write "" and "Y" where the method takes them.
	Params map[string]any
	// Write says that the call may change data, so that it is not repeated
	// when nobody knows whether it ran.
	Write bool
	// Loose says of a write that it may run before or after the other calls of
	// its Do, so that what is left of one request fits into the next.
	Loose bool
	// Many, if not nil, lets a listing call share a command with the same call
	// for other owners. It counts in a Do of this call alone. The answer then
	// has all the owner's rows, not a page of them.
	Many *Many

	// Fresh, if not zero, is until when the call may leave: what it was made of
	// is too old then, and it fails with ErrStale. Calls that fail so do so a
	// few at a time, when their turn has come, so that making them anew is not in
	// vain: call Prompt then.
	Fresh time.Time
	// Prompt lets the call go before those of others: its turn had come before.
	Prompt bool
	// Beside says that the caller is making other calls at the same time: an
	// idle client waits a millisecond for them, for a request costs more.
	Beside bool

	later bool // it can wait: see Later
}

// ErrStale is the cause of the error of a call that was not sent because the
// time in Fresh was over.
var ErrStale = errors.New("what the call was made of is too old")

// Answer is what came of one call.
type Answer struct {
	// Result is the method's result as it was sent; it may be null.
	Result json.RawMessage
	// Total and Next are those of a listing, -1 when absent.
	Total, Next int
	// Batch is how many commands travelled in the request that brought the
	// answer, 0 when there was none.
	Batch int
	// Err is a *Error, nil when the call succeeded.
	Err error
}

// noAnswer is an answer with nothing but an error.
func noAnswer(err error) Answer { return Answer{Total: -1, Next: -1, Err: err} }

// Call makes one call and decodes its result into result, which may be nil. It
// counts as a write: it is not repeated when nobody knows whether it ran.
func (c *Client) Call(ctx context.Context, method string, params map[string]any, result any) error {
	return c.decode(ctx, Call{Method: method, Params: params, Write: true}, result)
}

// decode makes one call and decodes its result.
func (c *Client) decode(ctx context.Context, call Call, result any) error {
	a := c.Do(ctx, call)[0]
	if a.Err != nil || result == nil {
		return a.Err
	}
	if err := json.Unmarshal(a.Result, result); err != nil {
		return badShape(call.Method, err)
	}
	return nil
}

// badShape says that a method has answered something else than is known of it.
func badShape(method string, err error) error {
	return &Error{Method: method, Code: CodeBadAnswer, Detail: "the result has another shape: " + err.Error(), Outcome: Executed, cause: err}
}

// Do makes calls that are ready at the same time and returns their answers in
// the same order. They travel in as few requests as possible, together with
// the calls of other goroutines. Calls among which there is a write run in the
// order given, in one request while they fit in it; nothing but reads and loose
// writes may overtake one another. When ctx ends first, the calls without an
// answer fail with its error; those under way may still run, which their Outcome
// tells.
func (c *Client) Do(ctx context.Context, calls ...Call) []Answer {
	if len(calls) == 1 && calls[0].Many != nil {
		return []Answer{c.askMany(ctx, calls[0])}
	}
	answers := c.await(ctx, newGroup(calls))
	for i := range answers {
		answers[i].Err = c.doubt(calls[i], answers[i].Err)
	}
	return answers
}

// Later is the way to a portal for work that can wait, such as the first fill
// of a list. Its calls travel in the room that others leave in their requests,
// or alone, but then they leave half of a burst to the others. After a minute
// in the line a call waits no longer than others. The client stays the caller's.
type Later struct{ *Client }

// Do is Client.Do for calls that can wait.
func (l Later) Do(ctx context.Context, calls ...Call) []Answer {
	calls = slices.Clone(calls)
	for i := range calls {
		calls[i].later = true
	}
	return l.Client.Do(ctx, calls...)
}

// List is Client.List for a listing that can wait.
func (l Later) List(ctx context.Context, call Call, wrapper string) ([]json.RawMessage, error) {
	call.later = true
	return l.Client.List(ctx, call, wrapper)
}

// doLate makes a call that is complete only when it leaves: late is asked then.
// Several wait for it, so it does not wait behind their other calls.
func (c *Client) doLate(call Call, probe func() bool, late func() Call) Answer {
	g := newGroup([]Call{call})
	g.first, g.probe = true, probe
	for _, cmd := range g.waiting {
		cmd.late = late
	}
	return c.await(c.life, g)[0]
}

// await lines a group up and waits for its answers.
func (c *Client) await(ctx context.Context, g *group) []Answer {
	if err := ctx.Err(); err != nil {
		g.fail(gaveUp(err, NotExecuted))
	} else if err := c.line.add(g); err != nil {
		g.fail(err)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		c.line.leave(g, ctx.Err())
	}
	return g.answers
}

func gaveUp(err error, outcome Outcome) *Error {
	return &Error{Detail: "the caller gave up: " + err.Error(), Outcome: outcome, cause: err}
}

package bitrix

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
)

// Call is one REST call.
type Call struct {
	// Method is the method's name, such as crm.item.get.
	Method string
	// Params are the call's parameters: nested maps, slices, text, numbers,
	// booleans, nil and values that marshal themselves to JSON. A batch cannot
	// carry nil, true, an empty list, and text such as $result[x]: a call with
	// such a value is its own request. Write "" and "Y" where the method
	// takes them.
	Params map[string]any
	// Write says that the call may change data. The client does not repeat a
	// write whose outcome is unknown.
	Write bool
	// Unordered says that a write may run before or after the other calls of its
	// Do, so that it can fill the room that is left in a request.
	Unordered bool
	// WithNext says that the call travels in the same request as the next one of
	// its Do, directly before it, unless one of them needs its own request.
	WithNext bool
	// Shared says that the call only reads, and that identical calls which leave in the
	// same request are one command. It runs behind the calls that come before it in the
	// Do of each of its callers.
	Shared bool
	// Many, if not nil, lets a listing call share a command with the same call
	// for other owners. Only a Do with this one call uses it. The answer then
	// has all rows of the owner instead of one page.
	Many *Many

	// Deadline, if not zero, is the time after which the call is not sent and
	// fails with ErrStale, because the data that it was made of is too old. Such
	// calls fail a few at a time, shortly before their turn. The caller then makes
	// the call again with new data and sets Immediate.
	Deadline time.Time
	// Immediate lets the call go before those of others, because its turn had
	// come before.
	Immediate bool
	// Repair lets the call go before immediate ones too, because it puts back data that
	// the caller has overwritten.
	Repair bool
	// Parallel says that the caller makes other calls at the same time. An idle
	// client waits a millisecond for them, because a request costs more.
	Parallel bool

	background bool   // see Later
	describes  string // see DescribeList and DescribeItems
}

// ErrStale is the cause of the error of a call that was not sent because its
// Deadline was over.
var ErrStale = errors.New("the data that the call was made of is too old")

// Answer is the result of one call.
type Answer struct {
	// Result is the method's result as the portal sent it; it may be null.
	Result json.RawMessage
	// Total and Next are those of a listing: -1 when absent, less than -1 when
	// they cannot be read.
	Total, Next int
	// Batch is how many commands were in the request that brought the answer, 0
	// when there was none.
	Batch int
	// Err is a *Error, nil when the call succeeded.
	Err error
}

// noAnswer is an answer with only an error.
func noAnswer(err error) Answer { return Answer{Total: wire.Absent, Next: wire.Absent, Err: err} }

// Call makes one call and decodes its result into result, which may be nil. It
// counts as a write: the client does not repeat it when its outcome is unknown.
func (c *Client) Call(ctx context.Context, method string, params map[string]any, result any) error {
	return decode(ctx, c, Call{Method: method, Params: params, Write: true}, result)
}

// Read makes one call of a method that changes nothing, and decodes its result.
func (c *Client) Read(ctx context.Context, method string, params map[string]any, result any) error {
	return decode(ctx, c, Call{Method: method, Params: params}, result)
}

// decode makes one call and decodes its result. A missing result is an error, because
// it would leave the zero value.
func decode(ctx context.Context, c *Client, call Call, result any) error {
	a := c.Do(ctx, call)[0]
	if a.Err != nil || result == nil {
		return a.Err
	}
	if text := string(a.Result); text == "" || text == "null" {
		return badShape(call.Method, errors.New("it is null"))
	}
	if err := json.Unmarshal(a.Result, result); err != nil {
		return badShape(call.Method, err)
	}
	return nil
}

// badShape says that the result of a method has an unknown form.
func badShape(method string, err error) *Error {
	return &Error{Method: method, Code: CodeBadAnswer, Detail: "the result has another shape: " + err.Error(), Outcome: Executed, cause: err}
}

// Do makes calls that are ready at the same time and returns their answers in
// the same order. They travel in as few requests as possible, together with the
// calls of other goroutines. If one of the calls is a write, they run in the
// given order, in one request as long as they fit into it; only reads and
// unordered writes may overtake each other. When ctx ends first, the calls
// without an answer fail with its error. Calls that were sent may still run; the
// Outcome of their error says so.
func (c *Client) Do(ctx context.Context, calls ...Call) []Answer {
	if refused := refuse(c.transport.cfg, calls); refused != nil {
		return doOthers(ctx, c, calls, refused)
	}
	asked := time.Now()
	var answers []Answer
	if len(calls) == 1 && calls[0].Many != nil {
		answers = []Answer{c.merger.do(ctx, calls[0])}
	} else {
		answers = c.sender.do(ctx, calls...)
	}
	for i := range answers {
		answers[i] = confirm(calls[i], answers[i])
		answers[i].Err = c.meta.doubt(calls[i], answers[i].Err)
		if calls[i].describes != "" && answers[i].Err == nil {
			answers[i].Err = c.meta.renew(calls[i], answers[i].Result, asked)
		}
	}
	return answers
}

// AnswerTo is the answer to a call whose result did not come from a portal, such as
// that of a test. It is read as Client.Do reads the portal's.
func AnswerTo(call Call, result json.RawMessage) Answer {
	return confirm(call, Answer{Result: wire.ShortNumbers(result), Total: wire.Absent, Next: wire.Absent})
}

// confirm returns the answer to a call, with an error when the call is a write and
// its result has not the form in which the method says that it has written. The
// outcome is then unknown: the lack of an error is no success. The forms are those
// of the official documentation. A method whose page gives none is confirmed by the
// lack of an error alone.
func confirm(call Call, a Answer) Answer {
	if !call.Write || a.Err != nil {
		return a
	}
	if err := wire.Written(call.Method, a.Result); err != nil {
		return noAnswer(&Error{Method: call.Method, Code: CodeBadAnswer, Detail: "the answer does not say that the write was done: " + err.Error(), Outcome: Unknown, cause: err})
	}
	return a
}

// Later is a client for work that can wait, such as the first sync of a list.
// Its calls travel in the room that others leave in their requests. If they
// travel alone, they leave two requests of a burst to the others. After a minute in the
// queue a call has the rank of the others. The caller still closes the client.
type Later struct{ *Client }

// Do is Client.Do for calls that can wait.
func (l Later) Do(ctx context.Context, calls ...Call) []Answer {
	calls = slices.Clone(calls)
	for i := range calls {
		calls[i].background = true
	}
	return l.Client.Do(ctx, calls...)
}

// List is Client.List for a listing that can wait.
func (l Later) List(ctx context.Context, call Call, wrapper string) ([]json.RawMessage, error) {
	call.background = true
	return l.Client.List(ctx, call, wrapper)
}

package bitrix

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/batch"
	"github.com/b24rules/b24rules/bitrix/internal/wire"
)

// batchRequest is what the method batch takes. A list of commands gives them
// the keys 0, 1, 2 …, which run in this order.
// Source: https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
type batchRequest struct {
	Halt     int      `json:"halt"`
	Commands []string `json:"cmd"`
}

// batchResult is the result of a batch. Each member maps keys to values, but PHP
// writes an empty one as [] and one with the keys 0..n-1 as a list.
type batchResult struct {
	results, errors, totals, nexts, times map[string]json.RawMessage
}

func decodeBatch(data json.RawMessage) (*batchResult, error) {
	raw, err := wire.Object(data)
	if err != nil {
		return nil, err
	}
	var out batchResult
	for name, into := range map[string]*map[string]json.RawMessage{
		"result": &out.results, "result_error": &out.errors, "result_total": &out.totals, "result_next": &out.nexts, "result_time": &out.times,
	} {
		if *into, err = wire.Map(raw[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for key := range out.errors {
		if _, ok := out.results[key]; ok {
			// The keys were lost, as in a list that was numbered again: no result has
			// its command any more.
			return nil, fmt.Errorf("command %s has a result and an error", key)
		}
	}
	return &out, nil
}

// send makes one request of commands and returns a reply for each.
func (t *transport) send(ctx context.Context, commands []batch.Command) []batch.Reply {
	if len(commands) == 1 {
		return []batch.Reply{t.single(ctx, commands[0])}
	}
	return t.batch(ctx, commands)
}

// single makes one command as its own request.
func (t *transport) single(ctx context.Context, cmd batch.Command) batch.Reply {
	body, err := cmd.Body()
	if err != nil {
		return failed(&Error{Code: codeArgument, Detail: "the parameters cannot be sent: " + err.Error(), Outcome: NotExecuted}, false)
	}
	env, fault := t.post(ctx, cmd.Method, body, 1)
	if fault != nil {
		return failed(fault, false)
	}
	t.note(cmd.Method, env.time, time.Now())
	return batch.Reply{Result: env.result, Total: env.total, Next: env.next}
}

// batch makes one request of several commands. HTTP 200 says nothing about any
// of them: each has its own reply.
func (t *transport) batch(ctx context.Context, commands []batch.Command) []batch.Reply {
	req := batchRequest{Commands: make([]string, len(commands))}
	for i, cmd := range commands {
		req.Commands[i] = cmd.Query
	}
	var result *batchResult
	body, err := json.Marshal(req)
	var fault *Error
	var env *envelope
	if err != nil {
		fault = &Error{Code: codeArgument, Detail: err.Error(), Outcome: NotExecuted}
	} else {
		env, fault = t.post(ctx, "batch", body, len(commands))
	}
	if fault == nil {
		if result, err = decodeBatch(env.result); err != nil {
			fault = &Error{Status: env.status, Code: CodeBadAnswer, Detail: "the answer of a batch has another shape", Outcome: Unknown, cause: err}
		}
	}
	out := make([]batch.Reply, len(commands))
	now := time.Now()
	for i, cmd := range commands {
		if fault != nil {
			out[i] = failed(fault, true)
			continue
		}
		key := strconv.Itoa(i)
		out[i] = t.batchReply(result, key)
		t.note(cmd.Method, wire.DecodeTime(result.times[key]), now)
	}
	return out
}

// batchReply reads the reply to one command.
func (t *transport) batchReply(b *batchResult, key string) batch.Reply {
	if raw, isError := b.errors[key]; isError {
		return failed(t.batchError(raw), false)
	}
	result, ok := b.results[key]
	if !ok {
		// With halt 0 every command has a place. The portal may have been cut off
		// at any of them.
		return failed(&Error{Code: CodeBadAnswer, Detail: "the batch has no answer for this command", Outcome: Unknown}, false)
	}
	return batch.Reply{Result: result, Total: wire.Count(b.totals[key]), Next: wire.Count(b.nexts[key])}
}

// batchError reads the error of one command: an object, or in places bare text.
func (t *transport) batchError(raw json.RawMessage) *Error {
	var item struct {
		Error       json.RawMessage `json:"error"`
		Description json.RawMessage `json:"error_description"`
	}
	e := &Error{}
	if json.Unmarshal(raw, &item) == nil {
		e.Code, e.Detail = wire.Text(item.Error), wire.Text(item.Description)
	} else {
		e.Detail = wire.Text(raw)
	}
	e.Code, e.Detail = t.clean(e.Code), t.clean(e.Detail)
	e.Outcome = outcomeOf(0, e.Code)
	return e
}

// failed is the reply of a command that failed. whole says that the error is
// that of a batch as a whole.
func failed(e *Error, whole bool) batch.Reply {
	r := batch.NoReply(e)
	switch e.code() {
	case CodeQueryLimit:
		r.Fault = batch.RateLimited
	case CodeOperationLimit:
		r.Fault = batch.MethodLimited
		if whole {
			r.Fault = batch.BatchLimited
		}
	case CodeOverload:
		r.Fault = batch.Blocked
		if e.Detail == "" {
			e.Detail = "REST is blocked for this portal because of overload; only its support can lift that"
		}
	default:
		switch {
		case e.code() == CodeNetwork && e.Outcome == NotExecuted:
			r.Fault = batch.Unsent
		case e.Outcome == Unknown:
			r.Fault = batch.Lost
		}
	}
	return r
}

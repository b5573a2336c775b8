package bitrix

import (
	"encoding/json"
	"strconv"
	"time"
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
	var raw struct {
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"result_error"`
		Total  json.RawMessage `json:"result_total"`
		Next   json.RawMessage `json:"result_next"`
		Time   json.RawMessage `json:"result_time"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	var out batchResult
	for _, member := range []struct {
		into *map[string]json.RawMessage
		from json.RawMessage
	}{{&out.results, raw.Result}, {&out.errors, raw.Error}, {&out.totals, raw.Total}, {&out.nexts, raw.Next}, {&out.times, raw.Time}} {
		m, err := looseMap(member.from)
		if err != nil {
			return nil, err
		}
		*member.into = m
	}
	return &out, nil
}

// batch makes one request of several commands, each with a reply of its own.
// HTTP 200 says nothing about any of them.
func (c *Client) batch(commands []*command) []reply {
	req := batchRequest{Commands: make([]string, len(commands))}
	for i, cmd := range commands {
		req.Commands[i] = cmd.query
	}
	out := make([]reply, len(commands))
	var result *batchResult
	body, err := json.Marshal(req)
	var fault *Error
	var env *envelope
	if err != nil {
		fault = &Error{Code: codeArgument, Detail: err.Error(), Outcome: NotExecuted}
	} else {
		env, fault = c.post("batch", body, len(commands))
	}
	if fault == nil {
		if result, err = decodeBatch(env.result); err != nil {
			fault = &Error{Status: env.status, Code: CodeBadAnswer, Detail: "the answer of a batch has another shape", Outcome: Unknown, cause: err}
		}
	}
	now := time.Now()
	for i, cmd := range commands {
		if fault != nil {
			out[i] = reply{Answer: noAnswer(nil), err: fault, whole: true}
			continue
		}
		key := strconv.Itoa(i)
		out[i] = c.batchReply(result, key)
		c.noteTime(cmd.call.Method, decodeTime(result.times[key]), now)
	}
	return out
}

// batchReply reads the reply of one command.
func (c *Client) batchReply(b *batchResult, key string) reply {
	r := reply{Answer: noAnswer(nil)}
	if raw, failed := b.errors[key]; failed {
		r.err = c.batchError(raw)
		return r
	}
	result, ok := b.results[key]
	if !ok {
		// With halt 0 every command has a place. The portal may have been cut
		// off, and where is not told.
		r.err = &Error{Code: CodeBadAnswer, Detail: "the batch has no answer for this command", Outcome: Unknown}
		return r
	}
	r.Result = result
	r.Total, r.Next = looseInt(b.totals[key]), looseInt(b.nexts[key])
	return r
}

// batchError reads the error of one command: an object, or in places bare text.
func (c *Client) batchError(raw json.RawMessage) *Error {
	var item struct {
		Error       json.RawMessage `json:"error"`
		Description json.RawMessage `json:"error_description"`
	}
	e := &Error{}
	if json.Unmarshal(raw, &item) == nil {
		e.Code, e.Detail = looseText(item.Error), looseText(item.Description)
	} else {
		e.Detail = looseText(raw)
	}
	e.Detail = c.clean(e.Detail)
	e.Outcome = outcomeOf(0, e.Code)
	return e
}

package bitrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

const (
	// pageSize is fixed for all listing methods.
	pageSize = 50
	// maxRows bounds what List reads.
	maxRows = 100_000
	// listAttempts is how often List starts anew when rows came or went.
	listAttempts = 3
)

// errShifted says that rows came or went while a listing was read, so that its
// pages do not fit together.
var errShifted = errors.New("the listing changed while it was read")

// List reads all rows of a listing call, in order. wrapper is the key under
// which the rows stand in the result ("items", "productRows"), "" when the
// result is the bare list. The pages after the first travel together. When the
// number of rows changes meanwhile, it begins anew.
func (c *Client) List(ctx context.Context, call Call, wrapper string) ([]json.RawMessage, error) {
	for range listAttempts {
		rows, err := c.listOnce(ctx, call, wrapper)
		if !errors.Is(err, errShifted) {
			return rows, err
		}
	}
	return nil, &Error{Method: call.Method, Code: CodeBadAnswer, Detail: errShifted.Error(), Outcome: Executed, passing: true, cause: errShifted}
}

func (c *Client) listOnce(ctx context.Context, call Call, wrapper string) ([]json.RawMessage, error) {
	first := c.Do(ctx, call)[0]
	rows, err := pageRows(call.Method, first, wrapper)
	if err != nil || first.Next <= 0 {
		return rows, err
	}
	if max(first.Total, first.Next) > maxRows {
		return nil, &Error{Method: call.Method, Code: codeArgument, Detail: fmt.Sprintf("%d rows, the limit is %d: narrow the filter", first.Total, maxRows), Outcome: Executed}
	}
	if first.Total <= 0 {
		return c.listByNext(ctx, call, wrapper, rows, first.Next)
	}
	var calls []Call
	for start := first.Next; start < first.Total; start += pageSize {
		calls = append(calls, page(call, start))
	}
	for i, a := range c.Do(ctx, calls...) {
		more, err := pageRows(call.Method, a, wrapper)
		if err != nil {
			return nil, err
		}
		last := i == len(calls)-1
		if a.Total >= 0 && a.Total != first.Total || last && a.Next > 0 {
			return nil, errShifted
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// listByNext reads page after page, for methods that do not tell how many rows
// there are.
func (c *Client) listByNext(ctx context.Context, call Call, wrapper string, rows []json.RawMessage, next int) ([]json.RawMessage, error) {
	for next > 0 {
		a := c.Do(ctx, page(call, next))[0]
		more, err := pageRows(call.Method, a, wrapper)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
		if a.Next >= 0 && a.Next <= next || a.Next > maxRows {
			return nil, badShape(call.Method, fmt.Errorf("the page after %d is said to begin at %d", next, a.Next))
		}
		next = a.Next
	}
	return rows, nil
}

// page is the call for the page that begins at start.
func page(call Call, start int) Call {
	params := make(map[string]any, len(call.Params)+1)
	maps.Copy(params, call.Params)
	params["start"] = start
	call.Params = params
	return call
}

// pageRows takes the rows out of an answer.
func pageRows(method string, a Answer, wrapper string) ([]json.RawMessage, error) {
	if a.Err != nil {
		return nil, a.Err
	}
	raw := a.Result
	if wrapper != "" {
		m, err := looseMap(raw)
		if err != nil {
			return nil, badShape(method, err)
		}
		raw = m[wrapper]
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var rows []json.RawMessage
	if err := json.Unmarshal(raw, &rows); err != nil {
		return nil, badShape(method, err)
	}
	return rows, nil
}

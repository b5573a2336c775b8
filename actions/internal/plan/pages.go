package plan

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// ReadPages reads all rows of a listing call, but refuses to read more than
// limit: the first page tells how many there are. wrapper is the key under
// which the rows stand, "" for a bare array.
func ReadPages(ctx context.Context, c *engine.Call, call bitrix.Call, wrapper string, limit int) ([]json.RawMessage, error) {
	first := c.Portal.Do(ctx, call)[0]
	rows, err := DecodeRows(first, wrapper)
	if err != nil {
		return nil, err
	}
	total := max(first.Total, len(rows))
	if total > limit {
		return nil, tooMany(call.Method, total, limit)
	}
	if first.Next <= 0 {
		return rows, nil
	}
	// List begins anew, and again when rows come or go meanwhile: a row that
	// moved to a page that was read would be missed, and an item be made twice.
	if rows, err = c.Portal.List(ctx, call, wrapper); err != nil {
		return nil, err
	}
	if len(rows) > limit {
		return nil, tooMany(call.Method, len(rows), limit)
	}
	return rows, nil
}

func tooMany(method string, n, limit int) error {
	return engine.ParkError("%s finds %d, the limit is %d: narrow the filter or raise limit", method, n, limit)
}

func DecodeRows(a bitrix.Answer, wrapper string) ([]json.RawMessage, error) {
	if a.Err != nil {
		return nil, a.Err
	}
	raw := a.Result
	if wrapper != "" {
		var outer map[string]json.RawMessage
		if err := json.Unmarshal(raw, &outer); err != nil {
			return nil, fmt.Errorf("read the answer of a list: %w", err)
		}
		raw = outer[wrapper]
	}
	var rows []json.RawMessage
	if len(raw) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		return nil, fmt.Errorf("read the answer of a list: %w", err)
	}
	return rows, nil
}

package plan

import (
	"context"
	"encoding/json"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// ReadPages reads all rows of a listing call. More rows than limit are an error.
// wrapper is the key of the rows in the answer, "" for a bare array.
func ReadPages(ctx context.Context, c *engine.Call, call bitrix.Call, wrapper string, limit int) ([]json.RawMessage, error) {
	first := c.Portal.Do(ctx, call)[0]
	rows, more, err := bitrix.FirstPage(call.Method, first, wrapper)
	if err != nil {
		return nil, err
	}
	total := max(first.Total, len(rows))
	if total > limit {
		return nil, tooMany(call.Method, total, limit)
	}
	if !more {
		return rows, nil
	}
	// List reads the first page again, and starts over when rows are added or
	// deleted in the meantime. Otherwise a row that moved to an earlier page would
	// be missed, and an item would be added twice.
	if rows, err = c.Portal.List(ctx, call, wrapper); err != nil {
		return nil, err
	}
	if len(rows) > limit {
		return nil, tooMany(call.Method, len(rows), limit)
	}
	return rows, nil
}

func tooMany(method string, n, limit int) error {
	return engine.ParkErrorOf("limit", "%s finds %d records, but the limit is %d: narrow the filter or raise limit", method, n, limit)
}

package bitrix

import (
	"context"
	"encoding/json"
	"errors"
)

const (
	// maxRows bounds what List reads.
	maxRows = 100_000
	// listAttempts is how often List reads a list whose pages do not fit together.
	listAttempts = 3
)

// List reads all rows of a listing call, in order. wrapper is the key of the
// rows in the result ("items", "productRows"), "" when the result is the list
// itself. The pages after the first travel together. When the pages do not fit
// together, List starts over, and fails in the end: it never returns fewer rows
// than the portal has announced.
func (c *Client) List(ctx context.Context, call Call, wrapper string) ([]json.RawMessage, error) {
	var rows []json.RawMessage
	var err error
	for range listAttempts {
		if rows, err = listOnce(ctx, c, call, wrapper); !errors.Is(err, errPages) {
			break
		}
	}
	return rows, err
}

func listOnce(ctx context.Context, c *Client, call Call, wrapper string) ([]json.RawMessage, error) {
	p := pages{method: call.Method, wrapper: wrapper}
	if err := p.add(c.Do(ctx, call)[0], 0); err != nil {
		return nil, err
	}
	if err := p.follow(call, maxRows, func(calls ...Call) []Answer { return c.Do(ctx, calls...) }); err != nil {
		return nil, err
	}
	return p.rows, nil
}

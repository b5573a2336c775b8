package catchup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// Portal sends the requests of a feeder. *bitrix.Client is one.
type Portal interface {
	Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer
	ListFields(ctx context.Context, iblockType string, iblockID int) (*bitrix.ListFields, error)
}

// A badAnswer is an answer of a portal that cannot be used. Another request would
// give the same.
type badAnswer struct{ error }

func badAnswerf(format string, args ...any) error { return badAnswer{fmt.Errorf(format, args...)} }

// Permanent reports whether another request to the portal would fail too: the portal
// refuses, or its answer cannot be used. A portal that does not answer, or a
// database, may be asked again.
func Permanent(err error) bool {
	var rest *bitrix.Error
	if errors.As(err, &rest) {
		return !rest.Temporary()
	}
	return errors.As(err, &badAnswer{})
}

// pageSize is the number of rows that the portal returns at once.
const pageSize = 50

// Now returns the portal's time.
func Now(ctx context.Context, p Portal) (time.Time, error) {
	a := p.Do(ctx, bitrix.Call{Method: "server.time"})[0]
	if a.Err != nil {
		return time.Time{}, a.Err
	}
	var text string
	if err := json.Unmarshal(a.Result, &text); err != nil {
		return time.Time{}, badAnswerf("server.time: %w", err)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, badAnswerf("server.time answered %.40q", text)
	}
	return at, nil
}

// Count returns how many entities of a type exist, or have changed since a time.
func Count(ctx context.Context, p Portal, typeID int, since time.Time) (int, error) {
	params := itemParams(typeID, since, 0)
	params["select"], params["start"] = []any{"id"}, 0
	a := p.Do(ctx, bitrix.Call{Method: methodItems, Params: params})[0]
	rows, more, err := bitrix.FirstPage(methodItems, a, "items")
	if err != nil || a.Total >= 0 || !more {
		return max(a.Total, len(rows)), err
	}
	return 0, badAnswerf("%s: the portal does not say how many entities it has", methodItems)
}

const methodItems = "crm.item.list"

func itemParams(typeID int, since time.Time, after int) map[string]any {
	filter := map[string]any{}
	if after > 0 {
		filter[">id"] = after
	}
	if !since.IsZero() {
		filter[">=updatedTime"] = since.Format(time.RFC3339)
	}
	params := map[string]any{"entityTypeId": typeID, "order": map[string]any{"id": "ASC"}}
	if len(filter) > 0 {
		params["filter"] = filter
	}
	return params
}

// page reads the ids of the next entities of a type, after an id: a listing by offset
// would be slow, and would shift when entities are added or deleted. more is false
// at the end, which is a page without rows: a portal may answer fewer rows than a page
// has although more follow. Entities that do not match the filter are skipped.
func page(ctx context.Context, p Portal, typeID int, since time.Time, after int) (ids []int, last int, more bool, err error) {
	params := itemParams(typeID, since, after)
	params["select"], params["start"] = []any{"id", "updatedTime"}, -1
	rows, err := bitrix.DecodeRows(methodItems, p.Do(ctx, bitrix.Call{Method: methodItems, Params: params})[0], "items")
	if err != nil {
		return nil, 0, false, err
	}
	last = after
	for _, row := range rows {
		var it struct {
			ID      bitrix.ID `json:"id"`
			Updated string    `json:"updatedTime"`
		}
		if err := json.Unmarshal(row, &it); err != nil {
			return nil, 0, false, badAnswerf("%s: %w", methodItems, err)
		}
		if int(it.ID) <= last {
			return nil, 0, false, badAnswerf("%s: entity %d after %d: the portal does not order by id", methodItems, it.ID, last)
		}
		last = int(it.ID)
		// An entity whose time cannot be read may have changed.
		if at, err := time.Parse(time.RFC3339, it.Updated); err == nil && !since.IsZero() && at.Before(since) {
			continue
		}
		ids = append(ids, last)
	}
	return ids, last, len(rows) > 0, nil
}

// owners reads the next records of a place and returns the ids of the entities that
// they belong to.
func owners(ctx context.Context, p Portal, r Leftover, after int) (ids []int, last int, more bool, err error) {
	call, field, err := r.listing(ctx, p, after)
	if err != nil {
		return nil, 0, false, err
	}
	wrapper, key := "items", "id"
	if r.List > 0 {
		wrapper, key = "", "ID"
	}
	rows, err := bitrix.DecodeRows(call.Method, p.Do(ctx, call)[0], wrapper)
	if err != nil {
		return nil, 0, false, err
	}
	last = after
	seen := map[int]bool{}
	for _, raw := range rows {
		var row map[string]json.RawMessage
		if err := json.Unmarshal(raw, &row); err != nil {
			return nil, 0, false, badAnswerf("%s: %w", call.Method, err)
		}
		var id bitrix.ID
		if err := id.UnmarshalJSON(row[key]); err != nil || int(id) <= last {
			return nil, 0, false, badAnswerf("%s: row %.40s after %d: the portal does not order by id", call.Method, row[key], last)
		}
		last = int(id)
		for _, owner := range numbers(row[field]) {
			seen[owner] = true
		}
	}
	return slices.Sorted(maps.Keys(seen)), last, len(rows) > 0, nil
}

// listing returns the call for the next records of a place, and the key of its field
// in the rows.
func (r Leftover) listing(ctx context.Context, p Portal, after int) (bitrix.Call, string, error) {
	if r.List == 0 {
		params := itemParams(r.EntityTypeID, time.Time{}, after)
		params["select"], params["start"] = []any{"id", r.Field}, -1
		return bitrix.Call{Method: methodItems, Params: params}, r.Field, nil
	}
	fields, err := p.ListFields(ctx, r.ListType, r.List)
	if err != nil {
		return bitrix.Call{}, "", err
	}
	field, err := fields.Lookup(r.Field)
	if err != nil {
		return bitrix.Call{}, "", badAnswerf("%w", err)
	}
	params := map[string]any{
		"IBLOCK_TYPE_ID": r.ListType, "IBLOCK_ID": r.List, "ELEMENT_ORDER": map[string]any{"ID": "ASC"}, "start": -1,
	}
	if after > 0 {
		params["FILTER"] = map[string]any{">ID": after}
	}
	return bitrix.Call{Method: "lists.element.get", Params: params}, field.ID, nil
}

// numbers reads the ids in a value: a number, text, a property's {valueId:
// value}, a list of these; links to the CRM are written D_759.
func numbers(raw json.RawMessage) []int {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	var out []int
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case float64:
			out = append(out, int(v))
		case string:
			if i := strings.LastIndexByte(v, '_'); i >= 0 {
				v = v[i+1:]
			}
			if n, err := strconv.Atoi(v); err == nil {
				out = append(out, n)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(v)
	return slices.DeleteFunc(out, func(n int) bool { return n <= 0 })
}

// Next reads the next entities of a job, and advances the job without storing it.
// more is false at its end.
func (j *Job) Next(ctx context.Context, p Portal) (typeID int, ids []int, more bool, err error) {
	var again bool
	switch {
	case j.Stage >= j.stages():
		return 0, nil, false, nil
	case j.Stage < len(j.Types):
		typeID = j.Types[j.Stage]
		ids, j.After, again, err = page(ctx, p, typeID, j.Since, j.After)
		j.Seen += len(ids)
	default:
		r := j.Leftovers[j.Stage-len(j.Types)]
		typeID = r.TypeID
		if ids, j.After, again, err = owners(ctx, p, r, j.After); err == nil {
			ids, err = gone(ctx, p, typeID, ids)
		}
		j.Orphans += len(ids)
	}
	if err != nil {
		return 0, nil, false, err
	}
	if !again {
		j.Stage, j.After = j.Stage+1, 0
	}
	return typeID, ids, j.Stage < j.stages(), nil
}

// gone returns the entities that do not exist. It does not trust the portal's
// filter: it requests each entity that the portal did not return.
func gone(ctx context.Context, p Portal, typeID int, ids []int) ([]int, error) {
	exists := map[int]bool{}
	for part := range slices.Chunk(ids, pageSize) {
		filter := make([]any, len(part))
		for i, id := range part {
			filter[i] = id
		}
		a := p.Do(ctx, bitrix.Call{Method: methodItems, Params: map[string]any{
			"entityTypeId": typeID, "select": []any{"id"}, "filter": map[string]any{"@id": filter}, "start": -1,
		}})[0]
		rows, err := bitrix.DecodeRows(methodItems, a, "items")
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			var it struct {
				ID bitrix.ID `json:"id"`
			}
			if err := json.Unmarshal(row, &it); err != nil {
				return nil, badAnswerf("%s: %w", methodItems, err)
			}
			exists[int(it.ID)] = true
		}
	}
	var calls []bitrix.Call
	var asked []int
	for _, id := range ids {
		if !exists[id] {
			asked = append(asked, id)
			calls = append(calls, bitrix.Call{Method: "crm.item.get", Params: map[string]any{"entityTypeId": typeID, "id": id}})
		}
	}
	var out []int
	for i, a := range p.Do(ctx, calls...) {
		switch {
		case bitrix.IsNotFound(a.Err):
			out = append(out, asked[i])
		case a.Err != nil:
			return nil, a.Err
		}
	}
	return out, nil
}

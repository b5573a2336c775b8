package bitrix

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
	"github.com/b24rules/b24rules/internal/php"
)

// maxChain is how many pages travel in one request. A batch takes 50 commands, but the
// working time of a method is limited.
// Source: https://apidocs.bitrix24.com/limits.html
const maxChain = 20

// Listing is a list that is read by ids: each page starts after the last id of the page
// before it. A listing by offset would shift when people add and delete rows, and the
// portal would count all rows for each page.
type Listing struct {
	Method string
	// Params are the parameters without the order, the position and the filter by id.
	Params map[string]any
	// Wrapper is that of DecodeRows. ID is the key of the id in a row.
	Wrapper, ID string
	// Filter and Order are the names of these parameters.
	Filter, Order string

	// single says that the portal does not resolve references, so that each page is
	// its own request.
	single bool
}

// Items is the listing of a CRM type.
// Source: https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html
func Items(params map[string]any) *Listing {
	return &Listing{Method: "crm.item.list", Params: params, Wrapper: "items", ID: "id", Filter: "filter", Order: "order"}
}

// Elements is the listing of the elements of a universal list.
// Source: https://apidocs.bitrix24.com/api-reference/lists/elements/lists-element-get.html
func Elements(params map[string]any) *Listing {
	return &Listing{Method: "lists.element.get", Params: params, ID: "ID", Filter: "FILTER", Order: "ELEMENT_ORDER"}
}

// Row is a row of a listing.
type Row struct {
	ID  int
	Raw json.RawMessage
}

// After reads up to 1,000 rows whose ids are above after, in ascending order. No row
// means the end: a portal may answer a short page although rows follow. do makes calls,
// as Client.Do does.
//
// The pages are the commands of one batch. Each filters by a reference to the last id of
// the page before it. Nothing of that is trusted: a page counts only if each of its ids
// is above those before it. A portal that does not resolve the reference is read page
// by page.
func (l *Listing) After(ctx context.Context, do func(context.Context, ...Call) []Answer, after int) ([]Row, error) {
	first := Call{Method: l.Method, Params: l.page(after)}
	if l.single {
		return l.rows(do(ctx, first)[0], after)
	}
	cmds := []string{l.query(first.Params)}
	path := ""
	if l.Wrapper != "" {
		path = "[" + l.Wrapper + "]"
	}
	for i := range maxChain - 1 {
		cmds = append(cmds, l.query(l.page(fmt.Sprintf("$result[%d]%s[%d][%s]", i, path, pageSize-1, l.ID))))
	}
	// With halt, the page after the last one ends the batch: its reference leads nowhere.
	a := do(ctx, Call{Method: "batch", Params: map[string]any{"halt": 1, "cmd": cmds}})[0]
	if e, ok := a.Err.(*Error); ok { //nolint:errorlint // an Answer has this type of error
		return nil, e.of(l.Method)
	}
	if a.Err != nil {
		return nil, a.Err
	}
	result, err := decodeBatch(a.Result)
	if err != nil {
		return nil, badRead(l.Method, err)
	}
	if _, ok := result.results["0"]; !ok { // its error has the portal's words only here
		return l.rows(do(ctx, first)[0], after)
	}
	var all []Row
	for i := range cmds {
		raw, answered := result.results[strconv.Itoa(i)]
		if !answered {
			break // a limit of the portal, or it refuses references
		}
		page, err := l.rows(Answer{Result: raw}, after)
		switch {
		case err != nil && i == 0:
			return nil, err
		case err != nil:
			l.single = i == 1 // it starts at another row than the reference says
			return all, nil
		}
		all = append(all, page...)
		if len(page) < pageSize {
			break // what follows has no id to start from
		}
		after = page[len(page)-1].ID
	}
	return all, nil
}

// Highest returns the highest id of the rows, so that a listing to which others add
// rows in the meantime has an end. The id is 0 when there are no rows. known is false when
// the answer does not show that the portal orders the rows as it is asked to.
func (l *Listing) Highest(ctx context.Context, do func(context.Context, ...Call) []Answer) (id int, known bool, err error) {
	params := l.page(0)
	params[l.Order] = map[string]any{l.ID: "DESC"}
	rows, err := DecodeRows(l.Method, do(ctx, Call{Method: l.Method, Params: params})[0], l.Wrapper)
	if err != nil || len(rows) == 1 { // one row shows no order
		return 0, false, err
	}
	highest, before := 0, 0
	for i, raw := range rows {
		id, err := l.id(raw)
		if err != nil {
			return 0, false, err
		}
		if i == 0 {
			highest = id
		} else if id >= before {
			return 0, false, nil
		}
		before = id
	}
	return highest, true, nil
}

// id is the id of a row.
func (l *Listing) id(raw json.RawMessage) (int, error) {
	members, err := wire.Object(raw)
	if err != nil {
		return 0, badRead(l.Method, err)
	}
	id, err := wire.ID(members[l.ID])
	if err != nil {
		return 0, badShape(l.Method, fmt.Errorf("a row with the id %.40s: the portal does not order by id", members[l.ID]))
	}
	return id, nil
}

// page returns the parameters of the page after an id, which may be a reference.
func (l *Listing) page(after any) map[string]any {
	params := maps.Clone(l.Params)
	if params == nil {
		params = map[string]any{}
	}
	filter := map[string]any{}
	if given, ok := params[l.Filter].(map[string]any); ok {
		maps.Copy(filter, given)
	}
	if after != 0 {
		filter[">"+l.ID] = after
	}
	if len(filter) > 0 {
		params[l.Filter] = filter
	}
	params[l.Order] = map[string]any{l.ID: "ASC"}
	params["start"] = -1 // without counting the rows
	return params
}

// query is a page as a command of a batch.
func (l *Listing) query(params map[string]any) string {
	v, err := php.FromGo(params)
	a, ok := v.(*php.Array)
	if err != nil || !ok {
		return l.Method // the first page, sent alone, reports it
	}
	return l.Method + "?" + php.BuildQuery(a)
}

// rows reads a page whose ids must be above after and ascend.
func (l *Listing) rows(a Answer, after int) ([]Row, error) {
	rows, err := DecodeRows(l.Method, a, l.Wrapper)
	if err != nil {
		return nil, err
	}
	out := make([]Row, len(rows))
	for i, raw := range rows {
		id, err := l.id(raw)
		if err != nil {
			return nil, err
		}
		if id <= after {
			return nil, badShape(l.Method, fmt.Errorf("row %d after %d: the portal does not order by id", id, after))
		}
		out[i], after = Row{id, raw}, id
	}
	return out, nil
}

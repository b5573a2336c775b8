package bitrix

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/batch"
	"github.com/b24rules/b24rules/internal/php"
)

// Many says how a listing call for the rows of one owner becomes one for those
// of several owners, so that calls which wait at the same time share a command.
// The client finds out from the portal's answers which form the portal takes.
//
// The documentation gives crm.item.productrow.list and lists.element.get array
// filters. The server's source takes one owner in each call. Both know filters
// from one owner to another.
// Source: https://apidocs.bitrix24.com/api-reference/crm/universal/product-rows/crm-item-productrow-list.html
type Many struct {
	// Param is the parameter that holds the filter, and Key the owner's key in
	// it: "filter" and "=ownerId".
	Param, Key string
	// List is the key for a list of owners; "" when it is Key.
	List string
	// From and To are the keys of the least and the greatest owner, both
	// included, where owners are numbers: ">=PROPERTY_101" and
	// "<=PROPERTY_101". "" when the method has none. They need Bare.
	From, To string
	// Wrapper is the key of the rows in the result, "" when the result is the
	// bare list.
	Wrapper string
	// Owner is the owner as Owners writes it.
	Owner string
	// Owners returns the owners of a row: usually one, several for a field with
	// several values. It must not depend on the call.
	Owners func(row json.RawMessage) []string
	// Bare says that the method may be called without an owner. The client uses
	// that to find out the portal's form. Without it, it finds out from the
	// answers for the owners of the callers.
	Bare bool
}

// Bounds of the owners in one command.
const (
	firstOwners = 16  // when nothing is known of them
	maxOwners   = 100 // far below batch.MaxVars, because some owners may have more rows than others
	// fillRows is how many rows a command should bring: a few less than a page,
	// so that a second page is rarely needed.
	fillRows = 45
	// maxGaps is how many owners a range may span for each that is asked for.
	// The rows of the owners between them travel for nothing.
	maxGaps = 2
	// maxMergedRows is how many rows a command may find. If there are more, each
	// caller reads its own.
	maxMergedRows = 20 * pageSize
	// maxTries is how many merged calls may show nothing before the client asks
	// for each owner alone.
	maxTries = 5
	// urgentPause is the pause after a probe that travels alone before the next.
	urgentPause = time.Second
	// maxMerges is how many kinds of calls the client remembers.
	maxMerges = 1000
)

// form is how one command names several owners.
type form uint8

// The forms, the best first.
const (
	byList  form = iota // a list of them
	byRange             // from the least to the greatest
	byOne               // the portal takes neither
)

// verdict is what an answer shows of a form.
type verdict uint8

const (
	unsure verdict = iota
	proven
	refuted
)

// mergeKey is what calls that can share a command have in common. ok is false
// for a call that cannot share one.
func mergeKey(call Call) (key string, ok bool) {
	if call.Write || call.Many.Owners == nil {
		return "", false
	}
	if start, paged := call.Params["start"]; paged && start != 0 {
		return "", false
	}
	v, err := php.FromGo(call.without().Params)
	a, isArray := v.(*php.Array)
	if err != nil || !isArray || !batch.FitsQuery(a, batch.MaxVars-maxOwners) || batch.IsReference(call.Many.Owner) {
		return "", false
	}
	return call.Method + "?" + php.BuildQuery(a) + "#" + call.Many.Key, true
}

// without is the call for the rows of all owners.
func (c Call) without() Call {
	filter, _ := c.Params[c.Many.Param].(map[string]any)
	filter = maps.Clone(filter)
	delete(filter, c.Many.Key)
	params := maps.Clone(c.Params)
	if params[c.Many.Param] = filter; len(filter) == 0 {
		delete(params, c.Many.Param)
	}
	c.Params = params
	return c
}

// forOwners is the call for the rows of several owners.
func (c Call) forOwners(f form, owners []string) Call {
	out := c.without()
	filter, _ := out.Params[c.Many.Param].(map[string]any)
	if filter == nil {
		filter = map[string]any{}
		out.Params[c.Many.Param] = filter
	}
	if f == byRange {
		filter[c.Many.From], filter[c.Many.To] = span(owners)
		return out
	}
	list := make([]any, len(owners))
	for i, o := range owners {
		list[i] = o
	}
	filter[cmp.Or(c.Many.List, c.Many.Key)] = list
	return out
}

// span returns the least and the greatest of numbers of one length.
func span(owners []string) (from, to string) { return slices.Min(owners), slices.Max(owners) }

// number reads an owner that a range can hold.
func number(owner string) (n uint64, ok bool) {
	n, err := strconv.ParseUint(owner, 10, 63)
	return n, err == nil && n > 0 && strconv.FormatUint(n, 10) == owner
}

// rowsAnswer is an answer with all rows of one owner.
func rowsAnswer(wrapper string, rows []json.RawMessage) Answer {
	list := append(append([]byte{'['}, bytes.Join(asBytes(rows), []byte{','})...), ']')
	if wrapper != "" {
		name, _ := json.Marshal(wrapper) // text can always be written
		list = append(append(append(append([]byte{'{'}, name...), ':'), list...), '}')
	}
	return Answer{Result: list, Total: len(rows), Next: -1}
}

func asBytes(rows []json.RawMessage) [][]byte {
	out := make([][]byte, len(rows))
	for i, r := range rows {
		out[i] = r
	}
	return out
}

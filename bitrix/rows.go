package bitrix

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
)

// pageSize is the size of a page of every listing method that we call.
// Source: https://apidocs.bitrix24.com/settings/performance/huge-data.html
const pageSize = 50

// errPages says that the pages of a listing do not fit together: rows came or
// went while they were read, or the portal answers less than it has.
var errPages = errors.New("the pages of the list do not fit together")

// DecodeRows returns the rows in one answer to a listing method, each of which
// is a JSON object. wrapper is the key of the rows in the result ("items",
// "productRows"), "" when the result is the list itself.
//
// Only [] is an empty list. A result without the list, null, false and anything
// else are an error that is worth another attempt: a caller that took them for
// "no rows" would delete what it has. PHP writes a list with gaps as an object
// with numeric keys; its rows come in the order of the document.
func DecodeRows(method string, a Answer, wrapper string) ([]json.RawMessage, error) {
	if a.Err != nil {
		return nil, a.Err
	}
	raw := a.Result
	if wrapper != "" {
		members, err := wire.Object(raw)
		if err != nil {
			return nil, badRead(method, err)
		}
		raw = members[wrapper]
	}
	rows, err := wire.List(raw)
	for i := 0; err == nil && i < len(rows); i++ {
		if !wire.IsObject(rows[i]) {
			err = fmt.Errorf("row %d is %.40s, want an object", i+1, rows[i])
		}
	}
	switch {
	case err != nil && wrapper != "":
		return nil, badRead(method, fmt.Errorf("%s: %w", wrapper, err))
	case err != nil:
		return nil, badRead(method, err)
	}
	return rows, nil
}

// ShortNumbers replaces the numbers of an answer that PHP printed with all digits of a
// double by the shortest numbers with the same value: 1.0049999999999999 is 1.005. The
// client does this with all answers.
func ShortNumbers(answer []byte) []byte { return wire.ShortNumbers(answer) }

// FirstPage returns the rows in the answer to a listing call without start, or
// with start 0. more says that the list has further pages, whether the answer
// names the next page or not. A page whose number of rows contradicts its total
// is an error. For calls with start -1, which have no total, use DecodeRows.
func FirstPage(method string, a Answer, wrapper string) (rows []json.RawMessage, more bool, err error) {
	p := pages{method: method, wrapper: wrapper}
	if err := p.add(a, 0); err != nil {
		return nil, false, err
	}
	return p.rows, p.next > 0, nil
}

// badRead is the error of a read whose answer cannot be understood. Another
// attempt may succeed.
func badRead(method string, err error) *Error {
	e := badShape(method, err)
	e.passing = true
	return e
}

// pages puts the pages of one listing together and checks that they fit.
type pages struct {
	method, wrapper string
	rows            []json.RawMessage
	total           int  // what the first page says, -1 when nothing or less than it has
	next            int  // where the next page starts, 0 after the last one
	named           bool // the portal has named the next page
}

// add takes the page that starts at start. A next of the portal counts more than
// its total.
func (p *pages) add(a Answer, start int) error {
	rows, err := DecodeRows(p.method, a, p.wrapper)
	if err != nil {
		return err
	}
	end, named := start+len(rows), p.named
	if start == 0 {
		p.total = a.Total
	}
	p.rows, p.next, p.named = append(p.rows, rows...), 0, a.Next > 0
	switch {
	case a.Total < wire.Absent || a.Next < wire.Absent:
		return p.badPage(start, rows, a, "a number cannot be read")
	case p.total >= 0 && a.Total >= 0 && a.Total != p.total:
		return p.badPage(start, rows, a, fmt.Sprintf("the total was %d", p.total))
	case len(rows) == 0 && start > 0 && (named || p.total > start):
		return p.badPage(start, rows, a, "a page is empty")
	case a.Next > 0:
		if a.Next != end {
			return p.badPage(start, rows, a, "next is another row")
		}
		if p.next = end; p.total <= end {
			p.total = wire.Absent // it is wrong
		}
	case p.total > end && len(rows) < pageSize:
		return p.badPage(start, rows, a, "rows are missing")
	case p.total > end:
		p.next = end // a full page without next
	case p.total >= 0 && p.total < end:
		return p.badPage(start, rows, a, "there are more rows than the total")
	case p.total < 0 && len(rows) == pageSize:
		p.next = end // the portal may not say that there are more
	}
	return nil
}

func (p *pages) badPage(start int, rows []json.RawMessage, a Answer, why string) error {
	said := ""
	if a.Total >= 0 {
		said += fmt.Sprintf(", total %d", a.Total)
	}
	if a.Next >= 0 {
		said += fmt.Sprintf(", next %d", a.Next)
	}
	return badRead(p.method, fmt.Errorf("%w: %s (page %d: %d rows%s)", errPages, why, start, len(rows), said))
}

// follow reads the pages after the first. do makes calls: the pages that the
// total announces travel together.
func (p *pages) follow(call Call, limit int, do func(...Call) []Answer) error {
	if p.next == 0 {
		return nil
	}
	step := len(p.rows)
	for p.next > 0 {
		if n := max(p.total, p.next); n > limit {
			return &Error{Method: p.method, Code: codeArgument, Detail: fmt.Sprintf("%d rows, the limit is %d: narrow the filter", n, limit), Outcome: Executed}
		}
		starts := []int{p.next}
		for start := p.next + step; start < p.total; start += step {
			starts = append(starts, start)
		}
		calls := make([]Call, len(starts))
		for i, start := range starts {
			calls[i] = page(call, start)
		}
		for i, a := range do(calls...) {
			if a.Err == nil && p.next != starts[i] {
				return badRead(p.method, fmt.Errorf("%w: the page before %d ends elsewhere", errPages, starts[i]))
			}
			if err := p.add(a, starts[i]); err != nil {
				return err
			}
		}
	}
	return p.distinct()
}

// distinct makes sure that no page repeats a row: the rows have shifted then, and
// another one is missing.
func (p *pages) distinct() error {
	seen := make(map[string]bool, len(p.rows))
	for _, row := range p.rows {
		var r struct{ ID json.RawMessage } // id or ID
		if json.Unmarshal(row, &r) != nil || len(r.ID) == 0 {
			continue
		}
		id := wire.Text(r.ID)
		if seen[id] {
			return badRead(p.method, fmt.Errorf("%w: row %.40s is in the list twice", errPages, id))
		}
		seen[id] = true
	}
	return nil
}

// page is the call for the page that starts at start.
func page(call Call, start int) Call {
	params := make(map[string]any, len(call.Params)+1)
	maps.Copy(params, call.Params)
	params["start"] = start
	call.Params = params
	return call
}

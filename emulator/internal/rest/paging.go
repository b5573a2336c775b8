package rest

import (
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// PageSize is fixed.
const PageSize = 50

// Page cuts the page out that the call asks for, and sets total and next.
// start is rounded down to a page; start=-1 counts nothing.
func Page[T any](c *Call, rows []T) []T {
	if c.Start < 0 {
		c.Total, c.HasTotal = 0, true
		return rows[:min(PageSize, len(rows))]
	}
	c.Total, c.HasTotal = len(rows), true
	from := min(c.Start/PageSize*PageSize, len(rows))
	to := min(from+PageSize, len(rows))
	if to < len(rows) {
		c.Next = to
	}
	return rows[from:to]
}

// StrictRules are those of crm.item.list and crm.type.list: what is not known
// is refused.
func StrictRules[T any](s *model.Store, find func(string) (query.Column[T], bool)) *query.Rules[T] {
	return &query.Rules[T]{
		Find:   find,
		Groups: true,
		Unknown: func(name string) error {
			return Fail("INVALID_ARG_VALUE", fmt.Sprintf("Invalid filter: field '%s' is not allowed in filter", name))
		},
		Invalid: func(name string) error {
			return Fail("INVALID_ARG_VALUE", fmt.Sprintf("Invalid filter: field '%s' has invalid value", name))
		},
		Zone: s.Zone,
	}
}

// StrictOrder reads an order of crm.item.list and crm.type.list.
func StrictOrder[T any](order *php.Array, find func(string) (query.Column[T], bool)) ([]query.SortKey[T], error) {
	var keys []query.SortKey[T]
	for name, v := range order.All() {
		col, ok := find(name)
		if !ok {
			return nil, Fail("INVALID_ARG_VALUE", fmt.Sprintf("Invalid order: field '%s' is not allowed in order", name))
		}
		direction := strings.ToUpper(value.Text(v))
		if direction != "ASC" && direction != "DESC" {
			return nil, Fail("INVALID_ARG_VALUE", fmt.Sprintf(
				"Invalid order: allowed sort directions are `ASC, DESC`. But got '%s' for field '%s'", value.Text(v), name))
		}
		keys = append(keys, query.SortKey[T]{Column: col, Desc: direction == "DESC"})
	}
	return keys, nil
}

// Conditions reads filter and order of a controller method.
func (c *Call) Conditions() (filter, order *php.Array, err error) {
	if filter, err = c.ArrayParam("filter"); err != nil {
		return nil, nil, err
	}
	order, err = c.ArrayParam("order")
	return filter, order, err
}

// LegacyConditions reads them of a legacy method.
func (c *Call) LegacyConditions() (filter, order *php.Array, err error) {
	filter, ok := c.OptionalArray("FILTER")
	if !ok {
		return nil, nil, NoArray("filter")
	}
	if order, ok = c.OptionalArray("ORDER"); !ok {
		return nil, nil, NoArray("order")
	}
	return filter, order, nil
}

// SelectRows filters, orders and pages rows by strict rules.
func SelectRows[T any](c *Call, rows []T, columns []query.Column[T]) ([]T, error) {
	find := query.Among(columns)
	filter, order, err := c.Conditions()
	if err != nil {
		return nil, err
	}
	pass, err := StrictRules(c.Store, find).Compile(filter)
	if err != nil {
		return nil, err
	}
	keys, err := StrictOrder(order, find)
	if err != nil {
		return nil, err
	}
	rows = query.Keep(rows, pass)
	query.Sort(rows, keys)
	return Page(c, rows), nil
}

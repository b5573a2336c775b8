package emulator

import (
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// pageSize is fixed.
const pageSize = 50

// page cuts the page out that the call asks for, and sets total and next.
// start is rounded down to a page; start=-1 counts nothing.
func page[T any](c *call, rows []T) []T {
	if c.start < 0 {
		c.total, c.hasTotal = 0, true
		return rows[:min(pageSize, len(rows))]
	}
	c.total, c.hasTotal = len(rows), true
	from := min(c.start/pageSize*pageSize, len(rows))
	to := min(from+pageSize, len(rows))
	if to < len(rows) {
		c.next = to
	}
	return rows[from:to]
}

// strictRules are those of crm.item.list and crm.type.list: what is not known
// is refused.
func strictRules[T any](s *model.Store, find func(string) (query.Column[T], bool)) *query.Rules[T] {
	return &query.Rules[T]{
		Find:   find,
		Groups: true,
		Unknown: func(name string) error {
			return fail("INVALID_ARG_VALUE", fmt.Sprintf("Invalid filter: field '%s' is not allowed in filter", name))
		},
		Invalid: func(name string) error {
			return fail("INVALID_ARG_VALUE", fmt.Sprintf("Invalid filter: field '%s' has invalid value", name))
		},
		Zone: s.Zone,
	}
}

// strictOrder reads an order of crm.item.list and crm.type.list.
func strictOrder[T any](order *php.Array, find func(string) (query.Column[T], bool)) ([]query.SortKey[T], error) {
	var keys []query.SortKey[T]
	for name, v := range order.All() {
		col, ok := find(name)
		if !ok {
			return nil, fail("INVALID_ARG_VALUE", fmt.Sprintf("Invalid order: field '%s' is not allowed in order", name))
		}
		direction := strings.ToUpper(value.Text(v))
		if direction != "ASC" && direction != "DESC" {
			return nil, fail("INVALID_ARG_VALUE", fmt.Sprintf(
				"Invalid order: allowed sort directions are `ASC, DESC`. But got '%s' for field '%s'", value.Text(v), name))
		}
		keys = append(keys, query.SortKey[T]{Column: col, Desc: direction == "DESC"})
	}
	return keys, nil
}

// conditions reads filter and order of a controller method.
func (c *call) conditions() (filter, order *php.Array, err error) {
	if filter, err = c.arrayParam("filter"); err != nil {
		return nil, nil, err
	}
	order, err = c.arrayParam("order")
	return filter, order, err
}

// legacyConditions reads them of a legacy method.
func (c *call) legacyConditions() (filter, order *php.Array, err error) {
	filter, ok := c.optionalArray("FILTER")
	if !ok {
		return nil, nil, arrayWanted("filter")
	}
	if order, ok = c.optionalArray("ORDER"); !ok {
		return nil, nil, arrayWanted("order")
	}
	return filter, order, nil
}

// selectRows filters, orders and pages rows by strict rules.
func selectRows[T any](c *call, rows []T, columns []query.Column[T]) ([]T, error) {
	find := query.Among(columns)
	filter, order, err := c.conditions()
	if err != nil {
		return nil, err
	}
	pass, err := strictRules(c.store, find).Compile(filter)
	if err != nil {
		return nil, err
	}
	keys, err := strictOrder(order, find)
	if err != nil {
		return nil, err
	}
	rows = query.Keep(rows, pass)
	query.Sort(rows, keys)
	return page(c, rows), nil
}

package formula

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/num"
)

// beginLoop checks the list of a loop, and counts the steps that it takes.
func beginLoop(machine, v any) any {
	elements, err := list(v)
	if err != nil {
		fail(err)
	}
	if err := machine.(*Machine).spend(1 + len(elements)); err != nil {
		fail(err)
	}
	return elements
}

func lenOf(m *Machine, args []any) (any, error) {
	switch x := args[0].(type) {
	case []any:
		return num.FromInt(int64(len(x))), nil
	case map[string]any:
		return num.FromInt(int64(len(x))), nil
	case string:
		return num.FromInt(int64(utf8.RuneCountInString(x))), m.read(len(x))
	}
	return nil, errWant("a list, a text or a record", args[0])
}

// isEmpty is true for all that portals send for "nothing".
func isEmpty(_ *Machine, args []any) (any, error) {
	switch x := args[0].(type) {
	case nil:
		return true, nil
	case string:
		return x == "", nil
	case []any:
		return len(x) == 0, nil
	case map[string]any:
		return len(x) == 0, nil
	}
	return false, nil
}

func first(_ *Machine, args []any) (any, error) {
	elements, err := list(args[0])
	if err != nil || len(elements) == 0 {
		return nil, err
	}
	return elements[0], nil
}

func last(_ *Machine, args []any) (any, error) {
	elements, err := list(args[0])
	if err != nil || len(elements) == 0 {
		return nil, err
	}
	return elements[len(elements)-1], nil
}

func take(_ *Machine, args []any) (any, error) {
	elements, err := list(args[0])
	if err != nil {
		return nil, err
	}
	n, err := whole(args[1])
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, fmt.Errorf("take cannot take %d elements", n)
	}
	n = min(n, len(elements))
	return elements[:n:n], nil
}

// copied returns a copy of a list that a function may change.
func copied(m *Machine, v any) ([]any, error) {
	elements, err := list(v)
	if err != nil {
		return nil, err
	}
	if err := m.spend(len(elements)); err != nil {
		return nil, err
	}
	return slices.Clone(elements), nil
}

func reverse(m *Machine, args []any) (any, error) {
	elements, err := copied(m, args[0])
	slices.Reverse(elements)
	return elements, err
}

// uniq keeps the first of the elements that are equal by value.
func uniq(m *Machine, args []any) (any, error) {
	elements, err := copied(m, args[0])
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(elements))
	kept := elements[:0]
	var key []byte
	for _, e := range elements {
		if key, err = appendKey(m, key[:0], e, 0); err != nil {
			return nil, err
		}
		if !seen[string(key)] {
			seen[string(key)] = true
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// groupFn makes the groups of groupBy from pairs of element and key.
func groupFn(machine, v any) any {
	m := machine.(*Machine)
	var groups []any
	index := make(map[string]map[string]any)
	var text []byte
	for _, p := range v.([]any) {
		pair := p.([]any)
		var err error
		if text, err = appendKey(m, text[:0], pair[1], 0); err != nil {
			fail(err)
		}
		group, ok := index[string(text)]
		if !ok {
			group = map[string]any{"key": pair[1], "items": []any(nil)}
			index[string(text)] = group
			groups = append(groups, group)
		}
		group["items"] = append(group["items"].([]any), pair[0])
	}
	if groups == nil {
		groups = []any{}
	}
	return groups
}

// sortPairs sorts pairs of element and key by key, and returns the elements.
func sortPairs(args ...any) any {
	m := args[0].(*Machine)
	pairs := args[1].([]any)
	err := sortStable(m, pairs, args[2], func(v any) any { return v.([]any)[1] })
	if err != nil {
		fail(err)
	}
	for i, p := range pairs { // made for this sort, so it may be changed
		pairs[i] = p.([]any)[0]
	}
	return pairs
}

func sortList(m *Machine, args []any) (any, error) {
	elements, err := copied(m, args[0])
	if err != nil {
		return nil, err
	}
	order := any("asc")
	if len(args) > 1 {
		order = args[1]
	}
	return elements, sortStable(m, elements, order, func(v any) any { return v })
}

// sortPairsByKeys sorts pairs of element and list of keys, and returns the elements. The
// order is one for all keys, or a list with one for each.
func sortPairsByKeys(args ...any) any {
	m, pairs := args[0].(*Machine), args[1].([]any)
	orders, isList := args[2].([]any)
	if !isList {
		orders = []any{args[2]}
	}
	keysOf := func(v any) []any { return v.([]any)[1].([]any) }
	if len(pairs) > 0 && isList && len(orders) != len(keysOf(pairs[0])) {
		fail(fmt.Errorf("sortBy has %d keys and %d orders", len(keysOf(pairs[0])), len(orders)))
	}
	for _, order := range orders {
		if err := knownOrder(order); err != nil {
			fail(err)
		}
	}
	if len(pairs) == 0 {
		return pairs
	}
	if err := m.spend(len(pairs) * bits.Len(uint(len(pairs))) * len(keysOf(pairs[0]))); err != nil {
		fail(err)
	}
	var failed error
	slices.SortStableFunc(pairs, func(x, y any) int {
		others := keysOf(y)
		for i, key := range keysOf(x) {
			if result := inOrder(m, key, others[i], orders[min(i, len(orders)-1)], &failed); result != 0 {
				return result
			}
		}
		return 0
	})
	if failed != nil {
		fail(failed)
	}
	for i, p := range pairs {
		pairs[i] = p.([]any)[0]
	}
	return pairs
}

// sortStable sorts in place; what is missing (nil) comes first.
func sortStable(m *Machine, elements []any, order any, key func(v any) any) error {
	if err := knownOrder(order); err != nil {
		return err
	}
	if err := m.spend(len(elements) * bits.Len(uint(len(elements)))); err != nil {
		return err
	}
	var failed error
	slices.SortStableFunc(elements, func(x, y any) int { return inOrder(m, key(x), key(y), order, &failed) })
	return failed
}

func knownOrder(order any) error {
	if order != "asc" && order != "desc" {
		return fmt.Errorf(`want the order "asc" or "desc", got %v`, order)
	}
	return nil
}

// inOrder compares two keys for a sort. After the first failure all keys are equal.
func inOrder(m *Machine, a, b, order any, failed *error) int {
	if order == "desc" {
		a, b = b, a
	}
	if a == nil || b == nil {
		return boolRank(a != nil) - boolRank(b != nil)
	}
	if *failed != nil {
		return 0
	}
	var result int
	result, *failed = compareWithin(m, a, b)
	return result
}

// largestPair and smallestPair return the element of the first pair of element and key
// whose key is the largest or the smallest, nil without pairs.
func largestPair(args ...any) any  { return bestPair(args, 1) }
func smallestPair(args ...any) any { return bestPair(args, -1) }

func bestPair(args []any, sign int) any {
	m := args[0].(*Machine)
	var best []any
	for _, p := range args[1].([]any) {
		pair := p.([]any)
		if best == nil {
			best = pair
			continue
		}
		result, err := compareWithin(m, pair[1], best[1])
		if err != nil {
			fail(err)
		}
		if result*sign > 0 {
			best = pair
		}
	}
	if best == nil {
		return nil
	}
	return best[0]
}

func concat(m *Machine, args []any) (any, error) {
	var all []any
	for _, arg := range args {
		elements, err := list(arg)
		if err != nil {
			return nil, err
		}
		if err := m.list(len(all) + len(elements)); err != nil {
			return nil, err
		}
		all = append(all, elements...)
	}
	if all == nil {
		all = []any{}
	}
	return all, nil
}

// flatten makes one list of a list of lists.
func flatten(m *Machine, args []any) (any, error) {
	lists, err := list(args[0])
	if err != nil {
		return nil, err
	}
	return concat(m, lists)
}

func get(_ *Machine, args []any) (any, error) {
	switch x := args[0].(type) {
	case []any:
		i, err := whole(args[1])
		if err != nil {
			return nil, err
		}
		if i < 0 {
			i += len(x)
		}
		if i < 0 || i >= len(x) {
			return nil, nil
		}
		return x[i], nil
	case map[string]any:
		name, err := text(args[1])
		return x[name], cmp.Or(err, errDeleted(x[name]))
	}
	return nil, errWant("a list or a record", args[0])
}

// lastMatch returns the last element of pairs of element and condition, or nil.
func lastMatch(v any) any {
	for _, p := range slices.Backward(v.([]any)) {
		if pair := p.([]any); pair[1].(bool) {
			return pair[0]
		}
	}
	return nil
}

func lastMatchIndex(v any) any {
	for i, p := range slices.Backward(v.([]any)) {
		if p.([]any)[1].(bool) {
			return num.FromInt(int64(i))
		}
	}
	return nil
}

// names returns the names of a record's fields, in order.
func names(m *Machine, v any) (map[string]any, []string, error) {
	record, ok := v.(map[string]any)
	if !ok {
		return nil, nil, errWant("a record", v)
	}
	return record, slices.Sorted(maps.Keys(record)), m.list(len(record))
}

func keys(m *Machine, args []any) (any, error) {
	_, sorted, err := names(m, args[0])
	all := make([]any, len(sorted))
	for i, name := range sorted {
		all[i] = name
	}
	return all, err
}

func values(m *Machine, args []any) (any, error) {
	record, sorted, err := names(m, args[0])
	all := make([]any, len(sorted))
	for i, name := range sorted {
		all[i] = record[name]
		err = cmp.Or(err, errDeleted(all[i]))
	}
	return all, err
}

func toPairs(m *Machine, args []any) (any, error) {
	record, sorted, err := names(m, args[0])
	all := make([]any, len(sorted))
	for i, name := range sorted {
		all[i] = []any{name, record[name]}
		err = cmp.Or(err, errDeleted(record[name]))
	}
	return all, err
}

func fromPairs(m *Machine, args []any) (any, error) {
	pairs, err := list(args[0])
	if err != nil {
		return nil, err
	}
	if err := m.list(len(pairs)); err != nil {
		return nil, err
	}
	record := make(map[string]any, len(pairs))
	for _, p := range pairs {
		pair, ok := p.([]any)
		if !ok || len(pair) != 2 {
			return nil, errors.New("fromPairs takes a list of [name, value]")
		}
		name, err := text(pair[0])
		if err != nil {
			return nil, err
		}
		record[name] = pair[1]
	}
	return record, nil
}

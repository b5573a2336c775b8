package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/php"
)

// operator is what a prefix of a filter's field name means.
type operator uint8

const (
	opEqual operator = iota
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opContains // % is not written in the value
	opLike     // % is written in the value
	opBetween
)

// prefixes of field names, the longest first. negated ones begin with "!".
var prefixes = [...]struct {
	text string
	op   operator
	not  bool
}{
	{"!=%", opLike, true},
	{"!%=", opLike, true},
	{"!><", opBetween, true},
	{"><", opBetween, false},
	{"!=", opEqual, true},
	{"!@", opEqual, true},
	{"!%", opContains, true},
	{">=", opGreaterEqual, false},
	{"<=", opLessEqual, false},
	{"=%", opLike, false},
	{"%=", opLike, false},
	{"@", opEqual, false},
	{"%", opContains, false},
	{">", opGreater, false},
	{"<", opLess, false},
	{"=", opEqual, false},
	{"!", opEqual, true},
}

// column is something of a T that can be filtered and ordered by.
type column[T any] struct {
	name string
	kind kind
	get  func(T) any // nil, a value of the kind, or []any of them
}

// rules are what differs between the filters of the methods.
type rules[T any] struct {
	find    func(name string) (column[T], bool)
	groups  bool                                   // nested conditions with "logic"
	unknown func(name string) error                // nil ignores the condition
	invalid func(name string) error                // the value does not fit
	prefix  func(prefix, name string) error        // nil allows every prefix
	parse   func(col column[T], v any) (any, bool) // nil reads it as the column's kind
	zone    value.Zone                             // of dates and times
	scalar  bool                                   // a list of values does not fit, not at "=" either
	masks   bool                                   // text without an operator may have % for anything
	noText  func(name string) bool                 // parts of text find nothing in it; nil is never
}

func newColumn[T any](name string, kind kind, get func(T) any) column[T] {
	return column[T]{name: name, kind: kind, get: get}
}

// among finds one of a fixed set of columns by its name.
func among[T any](columns []column[T]) func(name string) (column[T], bool) {
	return func(name string) (column[T], bool) {
		i := slices.IndexFunc(columns, func(c column[T]) bool { return c.name == name })
		if i < 0 {
			return column[T]{}, false
		}
		return columns[i], true
	}
}

// inAnyCase finds upper-case columns by a name in any case.
func inAnyCase[T any](find func(string) (column[T], bool)) func(string) (column[T], bool) {
	return func(name string) (column[T], bool) { return find(strings.ToUpper(name)) }
}

type predicate[T any] func(T) bool

// compile turns a filter into a predicate; conditions are joined by AND.
func (r *rules[T]) compile(filter *php.Array) (predicate[T], error) {
	var all []predicate[T]
	or := false
	for key, v := range filter.All() {
		if r.groups && strings.EqualFold(key, "logic") {
			or = strings.EqualFold(value.Text(v), "or")
			continue
		}
		p, err := r.condition(key, v)
		if err != nil {
			return nil, err
		}
		if p != nil {
			all = append(all, p)
		}
	}
	if or && len(all) > 0 {
		return func(row T) bool { return slices.ContainsFunc(all, func(p predicate[T]) bool { return p(row) }) }, nil
	}
	return func(row T) bool {
		return !slices.ContainsFunc(all, func(p predicate[T]) bool { return !p(row) })
	}, nil
}

func (r *rules[T]) condition(key string, v any) (predicate[T], error) {
	if group, ok := value.Array(v); ok && r.groups && value.OnlyDigits(key) {
		return r.compile(group)
	}
	prefix, name, op, not := splitPrefix(key)
	if r.prefix != nil {
		if err := r.prefix(prefix, name); err != nil {
			return nil, err
		}
	}
	col, ok := r.find(name)
	if !ok {
		if r.unknown == nil {
			return nil, nil
		}
		return nil, r.unknown(name)
	}
	if mask, isText := v.(string); r.masks && prefix == "" && isText && col.kind == kindText && strings.Contains(mask, "%") {
		op = opLike
	}
	if (op == opContains || op == opLike) && r.noText != nil && r.noText(name) {
		return func(T) bool { return false }, nil
	}
	wanted, ok := r.values(col, op, v)
	if !ok {
		return nil, r.bad(name)
	}
	test := matcher(col.kind, op, wanted)
	return func(row T) bool { return test(col.get(row)) != not }, nil
}

func (r *rules[T]) bad(name string) error {
	if r.invalid == nil {
		return nil
	}
	return r.invalid(name)
}

// values reads what a condition compares with.
func (r *rules[T]) values(col column[T], op operator, v any) ([]any, bool) {
	if _, isArray := v.(*php.Array); isArray && op != opBetween && (r.scalar || op != opEqual) {
		return nil, false
	}
	var wanted []any
	for _, x := range value.List(v) {
		if _, nested := x.(*php.Array); nested {
			return nil, false
		}
		if op == opContains || op == opLike {
			wanted = append(wanted, value.Text(x))
			continue
		}
		y, ok := r.read(col, x)
		if !ok {
			return nil, false
		}
		wanted = append(wanted, y)
	}
	return wanted, op != opBetween || len(wanted) == 2
}

func (r *rules[T]) read(col column[T], v any) (any, bool) {
	if r.parse != nil {
		return r.parse(col, v)
	}
	return parseAs(r.zone, col.kind, v)
}

// splitPrefix splits a filter's key into the prefix and the field's name.
func splitPrefix(key string) (prefix, name string, op operator, not bool) {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(key, p.text); ok {
			return p.text, rest, p.op, p.not
		}
	}
	return "", key, opEqual, false
}

// matcher makes the test of one value. A field of several values passes if one
// of them does.
func matcher(k kind, op operator, wanted []any) func(any) bool {
	one := func(v any) bool { return matches(k, op, v, wanted) }
	return func(v any) bool {
		if several, ok := v.([]any); ok {
			if len(several) == 0 {
				return one(nil)
			}
			return slices.ContainsFunc(several, one)
		}
		return one(v)
	}
}

func matches(k kind, op operator, v any, wanted []any) bool {
	switch op {
	case opEqual:
		return slices.ContainsFunc(wanted, func(w any) bool {
			if blank(v) || blank(w) {
				return blank(v) && blank(w)
			}
			return compare(k, v, w) == 0
		})
	case opContains:
		return len(wanted) > 0 && strings.Contains(fold(plain(v)), fold(plain(wanted[0])))
	case opLike:
		return len(wanted) > 0 && like(fold(plain(v)), fold(plain(wanted[0])))
	case opBetween:
		return v != nil && compare(k, v, wanted[0]) >= 0 && compare(k, v, wanted[1]) <= 0
	}
	if v == nil || len(wanted) == 0 || wanted[0] == nil {
		return false
	}
	c := compare(k, v, wanted[0])
	switch op {
	case opLess:
		return c < 0
	case opLessEqual:
		return c <= 0
	case opGreater:
		return c > 0
	default:
		return c >= 0
	}
}

// blank values are null and empty text: a filter does not tell them apart.
func blank(v any) bool { return v == nil || v == "" }

// fold makes text equal that the database's collation takes for equal.
func fold(s string) string { return strings.ToLower(s) }

// like matches a pattern in which % stands for anything.
func like(s, pattern string) bool {
	parts := strings.Split(pattern, "%")
	if len(parts) == 1 {
		return s == pattern
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[last])
}

// plain is a stored value as text.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return value.YesNo(v)
	case int64:
		return value.Text(value.FromInt(v))
	case num.Num:
		return v.String()
	case time.Time:
		return v.Format("2006-01-02 15:04:05")
	}
	return fmt.Sprint(v)
}

// compare orders two stored values of a kind; null comes first.
func compare(k kind, a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch k {
	case kindInt:
		x, y := a.(int64), b.(int64)
		return cmp.Compare(x, y)
	case kindNum:
		return a.(num.Num).Cmp(b.(num.Num))
	case kindBool:
		return strings.Compare(value.YesNo(a.(bool)), value.YesNo(b.(bool)))
	case kindDate, kindTime:
		return a.(time.Time).Compare(b.(time.Time))
	}
	return strings.Compare(fold(a.(string)), fold(b.(string)))
}

// parseAs reads a filter's value for a column of a kind.
func parseAs(z value.Zone, k kind, v any) (any, bool) {
	if v == nil || v == "" || v == false && k != kindBool {
		return nil, true
	}
	switch k {
	case kindInt:
		return value.Int(v), true
	case kindNum:
		return value.Num(v), true
	case kindBool:
		return value.IsYes(v), true
	case kindDate:
		t, ok := z.ParseDate(v)
		return t, ok
	case kindTime:
		t, ok := z.ParseTime(v)
		return t, ok
	}
	return value.Text(v), true
}

// kind is how a field's value is kept.
type kind uint8

const (
	kindText kind = iota // string
	kindInt              // int64
	kindNum              // num.Num
	kindBool             // bool
	kindDate             // time.Time at midnight UTC
	kindTime             // time.Time
)

// keep returns the rows that pass.
func keep[T any](rows []T, pass predicate[T]) []T {
	var kept []T
	for _, row := range rows {
		if pass(row) {
			kept = append(kept, row)
		}
	}
	return kept
}

// sortKey is one column to order by.
type sortKey[T any] struct {
	column column[T]
	desc   bool
}

// sortRows orders rows, which come ordered by their ids: equal ones stay so.
func sortRows[T any](rows []T, keys []sortKey[T]) {
	if len(keys) == 0 {
		return
	}
	slices.SortStableFunc(rows, func(a, b T) int {
		for _, k := range keys {
			if c := compare(k.column.kind, value.First(k.column.get(a)), value.First(k.column.get(b))); c != 0 {
				if k.desc {
					return -c
				}
				return c
			}
		}
		return 0
	})
}

// looseOrder reads an order of the other methods: what is not known is left
// out.
func looseOrder[T any](order *php.Array, find func(string) (column[T], bool)) []sortKey[T] {
	var keys []sortKey[T]
	for name, v := range order.All() {
		direction := strings.ToLower(value.Text(v))
		if col, ok := find(name); ok && (direction == "asc" || direction == "desc") {
			keys = append(keys, sortKey[T]{column: col, desc: direction == "desc"})
		}
	}
	return keys
}

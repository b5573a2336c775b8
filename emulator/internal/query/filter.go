// Package query filters, orders and compares the rows that list methods answer.
//
// A method says with [Rules] what its filter allows: the grammar of prefixes is
// the same for all methods, and the treatment of unknown names and wrong values
// is not.
package query

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

// Column is something of a T that can be filtered and ordered by.
type Column[T any] struct {
	Name string
	Kind Kind
	Get  func(T) any // nil, a value of the kind, or []any of them
}

// Rules are what differs between the filters of the methods.
type Rules[T any] struct {
	Find    func(name string) (Column[T], bool)
	Groups  bool                                   // nested conditions with "logic"
	Unknown func(name string) error                // nil ignores the condition
	Invalid func(name string) error                // the value does not fit
	Prefix  func(prefix, name string) error        // nil allows every prefix
	Parse   func(col Column[T], v any) (any, bool) // nil reads it as the column's kind
	Zone    value.Zone                             // of dates and times
	Scalar  bool                                   // a list of values does not fit, not at "=" either
	Masks   bool                                   // text without an operator may have % for anything
	NoText  func(name string) bool                 // parts of text find nothing in it; nil is never
}

func NewColumn[T any](name string, kind Kind, get func(T) any) Column[T] {
	return Column[T]{Name: name, Kind: kind, Get: get}
}

// Among finds one of a fixed set of columns by its name.
func Among[T any](columns []Column[T]) func(name string) (Column[T], bool) {
	return func(name string) (Column[T], bool) {
		i := slices.IndexFunc(columns, func(c Column[T]) bool { return c.Name == name })
		if i < 0 {
			return Column[T]{}, false
		}
		return columns[i], true
	}
}

// InAnyCase finds upper-case columns by a name in any case.
func InAnyCase[T any](find func(string) (Column[T], bool)) func(string) (Column[T], bool) {
	return func(name string) (Column[T], bool) { return find(strings.ToUpper(name)) }
}

type Predicate[T any] func(T) bool

// Compile turns a filter into a predicate; conditions are joined by AND.
func (r *Rules[T]) Compile(filter *php.Array) (Predicate[T], error) {
	var all []Predicate[T]
	or := false
	for key, v := range filter.All() {
		if r.Groups && strings.EqualFold(key, "logic") {
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
		return func(row T) bool { return slices.ContainsFunc(all, func(p Predicate[T]) bool { return p(row) }) }, nil
	}
	return func(row T) bool {
		return !slices.ContainsFunc(all, func(p Predicate[T]) bool { return !p(row) })
	}, nil
}

func (r *Rules[T]) condition(key string, v any) (Predicate[T], error) {
	if group, ok := value.Array(v); ok && r.Groups && value.OnlyDigits(key) {
		return r.Compile(group)
	}
	prefix, name, op, not := splitPrefix(key)
	if r.Prefix != nil {
		if err := r.Prefix(prefix, name); err != nil {
			return nil, err
		}
	}
	col, ok := r.Find(name)
	if !ok {
		if r.Unknown == nil {
			return nil, nil
		}
		return nil, r.Unknown(name)
	}
	if r.isMask(col, prefix, v) {
		op = opLike
	}
	if (op == opContains || op == opLike) && r.NoText != nil && r.NoText(name) {
		return func(T) bool { return false }, nil
	}
	operands, ok := r.values(col, op, v)
	if !ok {
		return nil, r.bad(name)
	}
	test := matcher(col.Kind, op, operands)
	return func(row T) bool { return test(col.Get(row)) != not }, nil
}

// Equal returns the values of which a column must have one by a condition of a filter. ok is
// false for every other condition, and where an empty value is one of them.
func (r *Rules[T]) Equal(key string, v any) (column string, operands []any, ok bool) {
	if _, group := value.Array(v); group && r.Groups && value.OnlyDigits(key) {
		return "", nil, false
	}
	prefix, name, op, not := splitPrefix(key)
	col, known := r.Find(name)
	if !known || op != opEqual || not || r.isMask(col, prefix, v) {
		return "", nil, false
	}
	operands, ok = r.values(col, op, v)
	return col.Name, operands, ok && len(operands) > 0 && !slices.ContainsFunc(operands, IsBlank)
}

// isMask reports whether a text without an operator has a mask.
func (r *Rules[T]) isMask(col Column[T], prefix string, v any) bool {
	mask, isText := v.(string)
	return r.Masks && prefix == "" && isText && col.Kind == Text && strings.Contains(mask, "%")
}

func (r *Rules[T]) bad(name string) error {
	if r.Invalid == nil {
		return nil
	}
	return r.Invalid(name)
}

// values reads what a condition compares with.
func (r *Rules[T]) values(col Column[T], op operator, v any) ([]any, bool) {
	if _, isArray := v.(*php.Array); isArray && op != opBetween && (r.Scalar || op != opEqual) {
		return nil, false
	}
	var operands []any
	for _, x := range value.List(v) {
		if _, nested := x.(*php.Array); nested {
			return nil, false
		}
		if op == opContains || op == opLike {
			operands = append(operands, value.Text(x))
			continue
		}
		y, ok := r.read(col, x)
		if !ok {
			return nil, false
		}
		operands = append(operands, y)
	}
	return operands, op != opBetween || len(operands) == 2
}

func (r *Rules[T]) read(col Column[T], v any) (any, bool) {
	if r.Parse != nil {
		return r.Parse(col, v)
	}
	return Parse(r.Zone, col.Kind, v)
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
func matcher(k Kind, op operator, operands []any) func(any) bool {
	one := func(v any) bool { return matches(k, op, v, operands) }
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

func matches(k Kind, op operator, v any, operands []any) bool {
	switch op {
	case opEqual:
		return slices.ContainsFunc(operands, func(w any) bool {
			if IsBlank(v) || IsBlank(w) {
				return IsBlank(v) && IsBlank(w)
			}
			return compare(k, v, w) == 0
		})
	case opContains:
		return len(operands) > 0 && like(fold(Plain(v)), "%"+fold(Plain(operands[0]))+"%")
	case opLike:
		return len(operands) > 0 && like(fold(Plain(v)), fold(Plain(operands[0])))
	case opBetween:
		return v != nil && compare(k, v, operands[0]) >= 0 && compare(k, v, operands[1]) <= 0
	}
	if v == nil || len(operands) == 0 || operands[0] == nil {
		return false
	}
	c := compare(k, v, operands[0])
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

// IsBlank values are null and empty text: a filter does not tell them apart.
func IsBlank(v any) bool { return v == nil || v == "" }

// fold makes text equal that the database's collation takes for equal.
func fold(s string) string { return strings.ToLower(s) }

// like matches a pattern of the database's LIKE: % is any text and _ any character.
func like(text, pattern string) bool {
	s, p := []rune(text), []rune(pattern)
	i, j := 0, 0
	star, retry := -1, 0 // the last % and where its text ends in s
	for i < len(s) {
		switch {
		case j < len(p) && p[j] == '%':
			star, retry = j, i
			j++
		case j < len(p) && (p[j] == '_' || p[j] == s[i]):
			i++
			j++
		case star >= 0:
			retry++
			i, j = retry, star+1
		default:
			return false
		}
	}
	for j < len(p) && p[j] == '%' {
		j++
	}
	return j == len(p)
}

// Plain is a stored value as text.
func Plain(v any) string {
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
func compare(k Kind, a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch k {
	case Int:
		x, y := a.(int64), b.(int64)
		return cmp.Compare(x, y)
	case Num:
		return a.(num.Num).Cmp(b.(num.Num))
	case Bool:
		return strings.Compare(value.YesNo(a.(bool)), value.YesNo(b.(bool)))
	case Date, Time:
		return a.(time.Time).Compare(b.(time.Time))
	}
	return strings.Compare(fold(a.(string)), fold(b.(string)))
}

// Parse reads a filter's value for a column of a kind.
func Parse(z value.Zone, k Kind, v any) (any, bool) {
	if v == nil || v == "" || v == false && k != Bool {
		return nil, true
	}
	switch k {
	case Int:
		return value.Int(v), true
	case Num:
		return value.Num(v), true
	case Bool:
		return value.IsYes(v), true
	case Date:
		t, ok := z.ParseDate(v)
		return t, ok
	case Time:
		t, ok := z.ParseTime(v)
		return t, ok
	}
	return value.Text(v), true
}

// Kind is how a field's value is kept.
type Kind uint8

const (
	Text Kind = iota // string
	Int              // int64
	Num              // num.Num
	Bool             // bool
	Date             // time.Time at midnight UTC
	Time             // time.Time
)

// Keep returns the rows that pass.
func Keep[T any](rows []T, pass Predicate[T]) []T {
	var kept []T
	for _, row := range rows {
		if pass(row) {
			kept = append(kept, row)
		}
	}
	return kept
}

// SortKey is one column to order by.
type SortKey[T any] struct {
	Column Column[T]
	Desc   bool
}

// Sort orders rows, which come ordered by their ids: equal ones stay so.
func Sort[T any](rows []T, keys []SortKey[T]) {
	if len(keys) == 0 {
		return
	}
	slices.SortStableFunc(rows, func(a, b T) int {
		for _, k := range keys {
			if c := compare(k.Column.Kind, value.First(k.Column.Get(a)), value.First(k.Column.Get(b))); c != 0 {
				if k.Desc {
					return -c
				}
				return c
			}
		}
		return 0
	})
}

// LenientOrder reads an order of the other methods: it omits unknown names.
func LenientOrder[T any](order *php.Array, find func(string) (Column[T], bool)) []SortKey[T] {
	var keys []SortKey[T]
	for name, v := range order.All() {
		direction := strings.ToLower(value.Text(v))
		if col, ok := find(name); ok && (direction == "asc" || direction == "desc") {
			keys = append(keys, SortKey[T]{Column: col, Desc: direction == "desc"})
		}
	}
	return keys
}

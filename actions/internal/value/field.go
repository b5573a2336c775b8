package value

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// Kind is how the values of a field are compared and written.
type Kind uint8

const (
	KindText Kind = iota
	KindNumber
	KindFlag     // Y or N; N and nothing are the same
	KindDay      // a calendar day
	KindDateTime // a day and a time
	KindMoney    // "300|USD"
	KindChoice   // the id of one of the field's choices
	KindHTML     // text that a list hands out as {TEXT, TYPE}
	KindFile
	KindMultifields // phones, e-mail addresses and the like: fm
)

// String names the kind in messages.
func (k Kind) String() string {
	return [...]string{"text", "a number", "true or false", "a date", "a date and time", "money such as 300|USD", "one of its choices", "text", "a file", "phones, e-mail addresses and the like"}[k]
}

// UnknownPlaces means that the number of digits is unknown.
const UnknownPlaces = -1

// Field describes a field of an item or of a list for comparing and writing values.
type Field struct {
	Name     string // as the REST API spells it: stageId, NAME, PROPERTY_101
	Code     string // of a list's property; "" when it has none
	Title    string // as people see it, in the portal's language
	Kind     Kind
	Multiple bool
	ReadOnly bool
	// Custom says that the field is a user field: its code starts with UF_.
	Custom bool
	// ZeroIsEmpty says that the portal does not distinguish 0 from no value:
	// crm.item.update writes null for everything that is empty in PHP.
	ZeroIsEmpty bool
	// Reference says that the values are ids of other records.
	Reference bool
	// IDs says that the values are ids of other records or users, as a portal stores them: whole
	// numbers. 0 is none.
	IDs bool
	// Unordered says that the values are a set: a portal may change the order of
	// choices and ids, and drop duplicates.
	Unordered bool
	// Sequence says that the portal fills in the number.
	Sequence bool
	// Drive says that the values are files on Drive.
	Drive bool
	// Places is the number of digits after the point, or UnknownPlaces.
	Places int
	// Length is the largest number of characters of a text, 0 if unknown.
	Length int
	// Choices are the texts of a choice's values by their ids.
	Choices Choices
	// DayFirst says that the portal writes 31/12/2024 rather than 12/31/2024.
	DayFirst bool
	// Zone is the portal's time zone, nil if unknown.
	Zone *time.Location
}

// Label names the field in messages.
func (f *Field) Label() string {
	switch {
	case f.Code != "":
		return f.Code
	case f.Title != "" && !strings.EqualFold(f.Title, f.Name):
		return fmt.Sprintf("%s (%s)", f.Name, f.Title)
	}
	return f.Name
}

// Empty reports whether v is an empty value of the field.
func (f *Field) Empty(v any) bool { return len(f.Split(v)) == 0 }

// Split returns the single values of v without the empty ones.
func (f *Field) Split(v any) []any {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]any, 0, len(list))
	for _, x := range list {
		if !f.EmptyOne(x) {
			out = append(out, x)
		}
	}
	return out
}

// EmptyOne is Empty for a single value.
func (f *Field) EmptyOne(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case string:
		if x == "" || (f.ZeroIsEmpty && x == "0") {
			return true
		}
		if n, ok := NumberOf(x); f.ZeroIsEmpty && f.Kind == KindNumber && ok {
			return n.Sign() == 0
		}
		if f.Kind == KindMoney && strings.HasPrefix(x, "|") {
			return true // the form of an empty amount
		}
	case bool:
		if f.Multiple && !x {
			return true // the form of an empty list in PHP
		}
	case num.Num:
		if f.ZeroIsEmpty && x.Sign() == 0 {
			return true
		}
	case map[string]any:
		if f.Kind == KindHTML {
			return htmlText(v) == ""
		}
	}
	return f.Kind == KindFlag && FlagOf(v) != "Y"
}

// NumberOf reads a number in any form that a portal writes.
func NumberOf(v any) (num.Num, bool) {
	switch x := v.(type) {
	case num.Num:
		return x, true
	case bool:
		if x {
			return num.FromInt(1), true
		}
		return num.Num{}, true
	case string:
		// lists.element.add takes a comma and spaces in numbers.
		n, err := num.Parse(strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(x), " ", ""), ",", "."))
		return n, err == nil
	}
	return num.Num{}, false
}

// FlagOf returns Y, N, or the text of another value.
func FlagOf(v any) string {
	switch text := TextOf(v); strings.ToLower(text) {
	case "y", "true", "1":
		return "Y"
	case "n", "false", "0", "":
		return "N"
	default:
		return text
	}
}

// moneyOf returns an amount such as "300|USD" in one spelling.
func moneyOf(v any) string {
	amount, currency, _ := strings.Cut(TextOf(v), "|")
	if n, ok := NumberOf(amount); ok {
		amount = n.String()
	}
	return amount + "|" + strings.ToUpper(strings.TrimSpace(currency))
}

// htmlText returns the text of an HTML property, which is read as {TEXT, TYPE}
// and written as plain text.
func htmlText(v any) string {
	if m, ok := v.(map[string]any); ok {
		v = m["TEXT"]
	}
	return TextOf(v)
}

// TextOf writes a value as text. The texts of lists and records are only good for
// comparing them.
func TextOf(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case num.Num:
		return x.String()
	case bool:
		if x {
			return "Y"
		}
		return "N"
	case time.Time:
		return datetime.Text(x)
	}
	return fmt.Sprint(v)
}

// Check reports why a desired value cannot be written into the field.
func (f *Field) Check(v any) error {
	if f.Kind == KindFile && v != nil && v != "" {
		return fmt.Errorf("field %s holds files, which cannot be compared and would be written in every run: write it with the action call and once", f.Label())
	}
	if f.Kind == KindMultifields && !f.ReadOnly {
		return checkMultifields(v)
	}
	list, isList := v.([]any)
	if isList && !f.Multiple {
		return fmt.Errorf("field %s takes one value, this is a list", f.Label())
	}
	if f.ReadOnly {
		return fmt.Errorf("field %s cannot be written, only the portal sets it", f.Label())
	}
	if !isList {
		list = []any{v}
	}
	for _, x := range list {
		if err := f.checkOne(x); err != nil {
			return err
		}
	}
	return nil
}

// CheckFilter reports why no record can have a value of a filter: it is none of the choices,
// or no number.
func CheckFilter(f *Field, v any) error {
	if f.Kind != KindChoice && f.Kind != KindNumber {
		return nil
	}
	for _, x := range f.Split(v) {
		if err := f.checkOne(x); err != nil {
			return err
		}
	}
	return nil
}

func (f *Field) checkOne(v any) error {
	if v == nil || v == "" {
		return nil
	}
	if _, isList := v.([]any); isList {
		return fmt.Errorf("field %s takes %s, this is a list in a list", f.Label(), f.Kind)
	}
	if _, isRecord := v.(map[string]any); isRecord && f.Kind != KindHTML {
		return fmt.Errorf("field %s takes %s, this is a record", f.Label(), f.Kind)
	}
	ok := true
	switch f.Kind {
	case KindNumber:
		_, ok = NumberOf(v)
	case KindFlag:
		flag := FlagOf(v)
		ok = flag == "Y" || flag == "N"
	case KindDay, KindDateTime:
		// A portal ignores a date that it cannot read and keeps the old one.
		_, ok = DateTimeOf(v, f.DayFirst)
	case KindMoney:
		amount, currency, _ := strings.Cut(TextOf(v), "|")
		_, isNumber := NumberOf(amount)
		if isNumber && currency == "" {
			return fmt.Errorf("field %s takes money such as 300|USD, %s has no currency: write money(…)", f.Label(), Named(v))
		}
		ok = isNumber && isCurrency(currency)
	case KindChoice:
		return checkChoice(f, v)
	case KindText:
		if f.IDs && !isID(v) {
			return fmt.Errorf("field %s takes an id, this is %s", f.Label(), Named(v))
		}
	}
	if !ok {
		return fmt.Errorf("field %s takes %s, this is %s", f.Label(), f.Kind, Named(v))
	}
	return nil
}

// isID reports whether a value is an id as a number or text, or 0 for none.
func isID(v any) bool {
	text, isText := v.(string)
	if n, isNumber := v.(num.Num); isNumber {
		text, isText = n.String(), true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return isText && err == nil && n >= 0
}

// isCurrency reports whether a text has the form of the code of a currency.
func isCurrency(code string) bool {
	return len(code) == 3 && strings.Trim(strings.ToUpper(code), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// Named names a value in a message: a text or a number itself, other values by their kind.
func Named(v any) string {
	switch x := v.(type) {
	case string:
		return fmt.Sprintf("%.60q", x)
	case num.Num:
		return x.String()
	}
	return KindOf(v)
}

// KindOf names the kind of a value without its data.
func KindOf(v any) string {
	switch v.(type) {
	case num.Num:
		return "a number"
	case string:
		return "another text"
	case bool:
		return "true or false"
	case time.Time:
		return "a time"
	}
	if v == formula.Omitted {
		return "omit"
	}
	return "something else"
}

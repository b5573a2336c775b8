package actions

import (
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// kind is how the values of a field are compared and written.
type kind uint8

const (
	kindText kind = iota
	kindNumber
	kindFlag   // Y or N; N and nothing are the same
	kindDay    // a calendar day
	kindMoment // a day and a time
	kindMoney  // "300|USD"
	kindChoice // the id of one of the field's choices
	kindHTML   // text that a list hands out as {TEXT, TYPE}
	kindFile
)

// String names the kind as messages do.
func (k kind) String() string {
	return [...]string{"text", "a number", "true or false", "a date", "a date and time", "money such as 300|USD", "one of its choices", "text", "a file"}[k]
}

// unknownPlaces says that a portal did not tell how many digits it keeps.
const unknownPlaces = -1

// field is what is known of a field of an item or of a list when values are
// compared and written.
type field struct {
	name     string // as the REST API spells it: stageId, NAME, PROPERTY_101
	code     string // of a list's property; "" when it has none
	title    string // as people see it, in the portal's language
	kind     kind
	multiple bool
	readOnly bool
	// custom says that people made the field: its code begins with UF_.
	custom bool
	// zeroIsEmpty says that the portal cannot tell 0 from no value:
	// crm.item.update writes null for everything that PHP takes for empty.
	zeroIsEmpty bool
	// reference says that the values are ids of other things.
	reference bool
	// unordered says that the order of the values means nothing: a portal may
	// keep choices and ids in another one than they were written in, and once.
	unordered bool
	// drive says that the values are files on Drive.
	drive bool
	// places is how many digits after the point the portal keeps, or
	// unknownPlaces.
	places int
	// length is how many characters of a text the portal keeps; 0 is no limit
	// that is known.
	length int
	// choices are the texts of a choice's values by their ids.
	choices map[string]string
	// dayFirst says that the portal writes 31/12/2024 rather than 12/31/2024.
	dayFirst bool
	// zone is the portal's; nil when it is not known.
	zone *time.Location
}

// label names the field for a person.
func (f *field) label() string {
	switch {
	case f.code != "":
		return f.code
	case f.title != "" && !strings.EqualFold(f.title, f.name):
		return fmt.Sprintf("%s (%s)", f.name, f.title)
	}
	return f.name
}

// empty reports whether v is no value of the field.
func (f *field) empty(v any) bool { return len(f.values(v)) == 0 }

// values returns the single values of v without the empty ones.
func (f *field) values(v any) []any {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]any, 0, len(list))
	for _, x := range list {
		if !f.emptyOne(x) {
			out = append(out, x)
		}
	}
	return out
}

func (f *field) emptyOne(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case string:
		if x == "" || (f.zeroIsEmpty && x == "0") {
			return true
		}
		if n, ok := numberOf(x); f.zeroIsEmpty && f.kind == kindNumber && ok {
			return n.Sign() == 0
		}
		if f.kind == kindMoney && strings.HasPrefix(x, "|") {
			return true // how a form says that there is no amount
		}
	case bool:
		if f.multiple && !x {
			return true // how PHP says that a list is empty
		}
	case num.Num:
		if f.zeroIsEmpty && x.Sign() == 0 {
			return true
		}
	case map[string]any:
		if f.kind == kindHTML {
			return htmlText(v) == ""
		}
	}
	return f.kind == kindFlag && flagOf(v) != "Y"
}

// numberOf reads a number in any form a portal writes it.
func numberOf(v any) (num.Num, bool) {
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

// flagOf returns Y, N, or the text of what is neither.
func flagOf(v any) string {
	switch text := textOf(v); strings.ToLower(text) {
	case "y", "true", "1":
		return "Y"
	case "n", "false", "0", "":
		return "N"
	default:
		return text
	}
}

// moneyOf returns "300|USD" in one spelling.
func moneyOf(v any) string {
	amount, currency, _ := strings.Cut(textOf(v), "|")
	if n, ok := numberOf(amount); ok {
		amount = n.String()
	}
	return amount + "|" + strings.ToUpper(strings.TrimSpace(currency))
}

// htmlText returns the text of an HTML property, which is {TEXT, TYPE} when read
// and plain text when written.
func htmlText(v any) string {
	if m, ok := v.(map[string]any); ok {
		v = m["TEXT"]
	}
	return textOf(v)
}

// textOf writes a value down as text. Lists and records have none that means
// anything; they are told apart all the same.
func textOf(v any) string {
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
		return x.Format(time.RFC3339)
	}
	return fmt.Sprint(v)
}

// check says why a wished value cannot be written into the field.
func (f *field) check(v any) error {
	if f.kind == kindFile && v != nil && v != "" {
		return fmt.Errorf("field %s holds files, which cannot be compared and would be written in every run: write it by call, with once", f.label())
	}
	list, isList := v.([]any)
	if isList && !f.multiple {
		return fmt.Errorf("field %s takes one value, this is a list", f.label())
	}
	if f.readOnly {
		return fmt.Errorf("field %s cannot be written: the portal sets it", f.label())
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

func (f *field) checkOne(v any) error {
	if v == nil || v == "" {
		return nil
	}
	if _, isList := v.([]any); isList {
		return fmt.Errorf("field %s takes %s, this is a list in a list", f.label(), f.kind)
	}
	if _, isRecord := v.(map[string]any); isRecord && f.kind != kindHTML {
		return fmt.Errorf("field %s takes %s, this is a record", f.label(), f.kind)
	}
	ok := true
	switch f.kind {
	case kindNumber:
		_, ok = numberOf(v)
	case kindFlag:
		flag := flagOf(v)
		ok = flag == "Y" || flag == "N"
	case kindDay, kindMoment:
		// A portal ignores a date that it cannot read and keeps the old one.
		_, ok = momentOf(v, f.dayFirst)
	case kindMoney:
		amount, _, found := strings.Cut(textOf(v), "|")
		_, isNumber := numberOf(amount)
		ok = found && isNumber
	case kindChoice:
		return f.checkChoice(v)
	}
	if !ok {
		return fmt.Errorf("field %s takes %s, this is %s", f.label(), f.kind, shortKind(v))
	}
	return nil
}

// shortKind names the kind of a value without showing the data.
func shortKind(v any) string {
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

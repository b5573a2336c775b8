package emulator

import (
	"cmp"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// element is an element of a list. Its name and the system fields that can be
// written are in system.
type element struct {
	id                int64
	code              string
	section           int64
	created, changed  time.Time
	creator, modifier int64
	system            map[string]string
	properties        map[int64][]propertyValue
}

// propertyValue is one value of a property. A value that is written anew gets
// a new id.
type propertyValue struct {
	id    int64
	text  string
	value any // what filters and orders compare
	html  bool
}

// coded finds an element by its code.
func (b *iblock) coded(code string) *element {
	for _, id := range b.order {
		if e := b.elements[id]; e.code != "" && sameCode(e.code, code) {
			return e
		}
	}
	return nil
}

// sameCode compares codes as the database does, without regard to case.
func sameCode(a, b string) bool { return strings.EqualFold(a, b) }

// sort is the element's SORT, which has a default.
func (e *element) sort() string { return cmp.Or(e.system["SORT"], "500") }

func propertyKind(typ string) query.Kind {
	switch typ {
	case "N", "N:Sequence":
		return query.Num
	case "S:Date", "S:DateTime":
		return query.Time
	}
	return query.Text
}

// comparableValue is a property's value as filters and orders compare it.
func comparableValue(s *store, f *listField, text string) any {
	switch propertyKind(f.typ) {
	case query.Num:
		return value.Num(text)
	case query.Time:
		return s.zone.DateTime(text)
	}
	return text
}

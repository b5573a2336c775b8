package model

import (
	"cmp"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// Element is an element of a list. Its name and the system fields that can be
// written are in system.
type Element struct {
	ID                int64
	Code              string
	Added             time.Time // to the nanosecond, unlike Created
	Section           int64
	Created, Changed  time.Time
	Creator, Modifier int64
	System            map[string]string
	Properties        map[int64][]PropertyValue
}

// PropertyValue is one value of a property. A value that is written again gets
// a new id.
type PropertyValue struct {
	ID    int64
	Text  string
	Value any // what filters and orders compare
	HTML  bool
}

// ElementByCode finds an element by its code. Of several it is the oldest one.
func (b *IBlock) ElementByCode(code string) *Element {
	if code == "" {
		return nil
	}
	found := b.Elements.ByCode(code)
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// SameCode compares codes as the database does, without regard to case.
func SameCode(a, b string) bool { return strings.EqualFold(a, b) }

// Sort is the element's SORT, which has a default.
func (e *Element) Sort() string { return cmp.Or(e.System["SORT"], "500") }

func PropertyKind(typ string) query.Kind {
	switch typ {
	case "N", "N:Sequence":
		return query.Num
	case "S:Date", "S:DateTime":
		return query.Time
	}
	return query.Text
}

// ComparableValue is a property's value as filters and orders compare it.
func ComparableValue(s *Store, f *IBlockField, text string) any {
	switch PropertyKind(f.Type) {
	case query.Num:
		return value.Num(text)
	case query.Time:
		return s.Zone.DateTime(text)
	}
	return text
}

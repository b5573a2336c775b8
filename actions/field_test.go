package actions

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/b24rules/b24rules/engine/num"
)

func n(text string) num.Num { return num.MustParse(text) }

func TestSame(t *testing.T) {
	plusTwo := time.FixedZone("", 2*3600)
	newYear := time.Date(2024, 12, 31, 23, 59, 59, 500, plusTwo)
	list := []any{}
	text := field{name: "TEXT", places: unknownPlaces}
	number := field{name: "N", kind: kindNumber, places: unknownPlaces}
	amount := field{name: "opportunity", kind: kindNumber, places: 2, zeroIsEmpty: true}
	flag := field{name: "opened", kind: kindFlag}
	day := field{name: "D", kind: kindDay}
	moment := field{name: "T", kind: kindMoment}
	british := field{name: "T", kind: kindMoment, dayFirst: true}
	money := field{name: "M", kind: kindMoney}
	choice := field{name: "L", kind: kindChoice, choices: map[string]string{"81": "Shipped", "82": "Y"}}
	html := field{name: "H", kind: kindHTML}
	ids := field{name: "contactIds", multiple: true, zeroIsEmpty: true}
	texts := field{name: "S", multiple: true}

	tests := []struct {
		name           string
		field          field
		stored, wished any
		same           bool
	}{
		{"number as text", number, "10.50", n("10.5"), true},
		{"number with a comma", number, "1 000,5", n("1000.5"), true},
		{"other number", number, "10.50", n("10.51"), false},
		{"number and text", number, n("7"), "7", true},
		{"zero is not empty in a list", number, nil, n("0"), false},
		{"zero is empty in an item", amount, nil, n("0"), true},
		{"zero as text is empty in an item", amount, "0.00", n("0"), true},
		{"empty and null", number, "", nil, true},
		{"a third as the portal keeps it", number, "33.333333333333", n("33.33333333333333333333"), true},
		{"two places are kept", amount, n("0.33"), n("0.333333"), true},
		{"places do not hide a change", amount, n("0.33"), n("0.335"), false},
		{"long whole number", number, "123456789012345678", n("123456789012345679"), false},
		{"text", text, "a", "a", true},
		{"text's case counts", text, "a", "A", false},
		{"id as text", text, "5", n("5"), true},
		{"text with zeros", text, "007", "7", false},
		{"text and null", text, nil, "", true},
		{"flag and bool", flag, "Y", true, true},
		{"flag one", flag, n("1"), "Y", true},
		{"no flag", flag, nil, false, true},
		{"flag N", flag, "N", nil, true},
		{"flag changes", flag, "N", true, false},
		{"day printed with a shifted midnight", day, "2024-07-23T02:00:00+02:00", "2024-07-23", true},
		{"day in a locale", day, "31.12.2024", "2024-12-31", true},
		{"day in the other locale", day, "12/31/2024", newYear, true},
		{"other day", day, "2024-07-23T02:00:00+02:00", "2024-07-22", false},
		{"same instant", moment, "2024-12-31T21:59:59+00:00", newYear, true},
		{"wall clock", moment, "12/31/2024 11:59:59 pm", newYear, true},
		{"wall clock, dots", moment, "31.12.2024 23:59:59", "2024-12-31T23:59:59+02:00", true},
		{"midnight", moment, "12/31/2024 12:00:00 am", "2024-12-31 00:00:00", true},
		{"other second", moment, "31.12.2024 23:59:58", newYear, false},
		{"day first", british, "03/04/2024 10:00:00", "2024-04-03T10:00:00", true},
		{"month first", moment, "03/04/2024 10:00:00", "2024-03-04T10:00:00", true},
		{"no date", moment, "soon", newYear, false},
		{"money", money, "300.00|USD", "300|usd", true},
		{"other currency", money, "300|USD", "300|EUR", false},
		{"choice by text", choice, "81", "shipped", true},
		{"choice by id", choice, "81", n("81"), true},
		{"choice by bool", choice, "82", true, true},
		{"other choice", choice, "82", "Shipped", false},
		{"html", html, map[string]any{"TEXT": "<b>x</b>", "TYPE": "HTML"}, "<b>x</b>", true},
		{"empty html", html, map[string]any{"TEXT": "", "TYPE": "HTML"}, nil, true},
		{"list", ids, []any{n("1"), n("2")}, []any{"1", "2"}, true},
		{"list's order", ids, []any{n("1"), n("2")}, []any{n("2"), n("1")}, false},
		{"empty lists", ids, false, list, true},
		{"zero in a list of ids", ids, list, []any{n("0")}, true},
		{"one in a list", texts, []any{"a"}, "a", true},
		{"longer list", texts, []any{"a"}, []any{"a", "b"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.field.same(tt.stored, tt.wished); got != tt.same {
				t.Errorf("same(%v, %v) = %v, want %v", tt.stored, tt.wished, got, tt.same)
			}
			if got := tt.field.same(tt.wished, tt.stored); got != tt.same {
				t.Errorf("the other way round it is %v", got)
			}
		})
	}
}

func TestFieldCheck(t *testing.T) {
	tests := []struct {
		name  string
		field field
		value any
		want  string
	}{
		{"nil clears anything", field{name: "N", kind: kindNumber}, nil, ""},
		{"number", field{name: "N", kind: kindNumber}, n("1"), ""},
		{"number as text", field{name: "N", kind: kindNumber}, "1.5", ""},
		{"no number", field{name: "PROPERTY_1", code: "SUM", kind: kindNumber}, "much", "field SUM takes a number, this is another text"},
		{"read-only", field{name: "id", readOnly: true}, n("1"), "field id cannot be written: the portal sets it"},
		{"a file", field{name: "logo", kind: kindFile}, []any{"a.txt", "YQ=="}, "field logo holds files, which cannot be compared and would be written in every run: write it by call, with once"},
		{"no file", field{name: "logo", kind: kindFile}, nil, ""},
		{"list in a single field", field{name: "title"}, []any{"a"}, "field title takes one value, this is a list"},
		{"record in a text", field{name: "title"}, map[string]any{}, "field title takes text, this is a record"},
		{"no date", field{name: "D", kind: kindDay}, "tomorrow", "field D takes a date, this is another text"},
		{"number for a date", field{name: "D", kind: kindMoment}, n("3"), "field D takes a date and time, this is a number"},
		{"no flag", field{name: "opened", title: "Open", kind: kindFlag}, "perhaps", "field opened (Open) takes true or false, this is another text"},
		{"money", field{name: "M", kind: kindMoney}, "300|USD", ""},
		{"money without currency", field{name: "M", kind: kindMoney}, n("300"), "field M takes money such as 300|USD, this is a number"},
		{"near choice", field{name: "L", kind: kindChoice, choices: map[string]string{"1": "Shipped"}}, "Shiped", `field L has no choice of this name, did you mean "Shipped"?`},
		{"no choice", field{name: "L", kind: kindChoice, choices: map[string]string{"1": "Shipped"}}, "x", "field L has no such choice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.field.check(tt.value); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestSlashes(t *testing.T) {
	tests := []struct {
		text                 string
		dayFirst, monthFirst bool
	}{
		{"31/12/2024", true, false},
		{"12/31/2024", false, true},
		{"03/04/2024", false, false},
		{"03/04/2024 10:00:00", true, false},
		{"03/04/2024 10:00:00 pm", false, true},
		{"a/b/c", false, false},
	}
	for _, tt := range tests {
		var s slashes
		s.look(tt.text)
		if s.dayFirst != tt.dayFirst || s.monthFirst != tt.monthFirst {
			t.Errorf("%s gives %+v", tt.text, s)
		}
	}
}

func TestWireValues(t *testing.T) {
	at := time.Date(2024, 12, 31, 23, 59, 59, 0, time.FixedZone("", 3*3600))
	tests := []struct {
		name       string
		field      field
		value      any
		item, list any
	}{
		{"nil clears", field{}, nil, "", ""},
		{"number", field{kind: kindNumber, places: unknownPlaces}, n("10.50"), json.Number("10.5"), "10.5"},
		{"rounded as the field keeps it", field{kind: kindNumber, places: 2}, n("1.005"), json.Number("1.01"), "1.005"},
		{"number as text", field{kind: kindNumber, places: unknownPlaces}, "7", json.Number("7"), "7"},
		{"flag", field{kind: kindFlag}, false, "N", "N"},
		{"day", field{kind: kindDay}, at, "2024-12-31", "2024-12-31"},
		{"moment", field{kind: kindMoment}, at, "2024-12-31T23:59:59+03:00", "2024-12-31 23:59:59"},
		{"choice", field{kind: kindChoice, choices: map[string]string{"81": "Shipped"}}, "Shipped", json.Number("81"), "81"},
		{"bool in a text", field{}, true, "Y", "Y"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.field.itemValue(tt.value); got != tt.item {
				t.Errorf("in an item: %#v, want %#v", got, tt.item)
			}
			if got := tt.field.listValue(tt.value); got != tt.list {
				t.Errorf("in a list: %#v, want %#v", got, tt.list)
			}
		})
	}
}

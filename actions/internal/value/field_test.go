package value

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
	text := Field{Name: "TEXT", Places: UnknownPlaces}
	number := Field{Name: "N", Kind: KindNumber, Places: UnknownPlaces}
	amount := Field{Name: "opportunity", Kind: KindNumber, Places: 2, ZeroIsEmpty: true}
	flag := Field{Name: "opened", Kind: KindFlag}
	day := Field{Name: "D", Kind: KindDay}
	dateTime := Field{Name: "T", Kind: KindDateTime}
	british := Field{Name: "T", Kind: KindDateTime, DayFirst: true}
	money := Field{Name: "M", Kind: KindMoney}
	choice := Field{Name: "L", Kind: KindChoice, Choices: map[string]string{"81": "Shipped", "82": "Y"}}
	html := Field{Name: "H", Kind: KindHTML}
	ids := Field{Name: "contactIds", Multiple: true, ZeroIsEmpty: true}
	texts := Field{Name: "S", Multiple: true}

	tests := []struct {
		name            string
		field           Field
		stored, desired any
		same            bool
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
		{"same instant", dateTime, "2024-12-31T21:59:59+00:00", newYear, true},
		{"wall clock", dateTime, "12/31/2024 11:59:59 pm", newYear, true},
		{"wall clock, dots", dateTime, "31.12.2024 23:59:59", "2024-12-31T23:59:59+02:00", true},
		{"midnight", dateTime, "12/31/2024 12:00:00 am", "2024-12-31 00:00:00", true},
		{"other second", dateTime, "31.12.2024 23:59:58", newYear, false},
		{"day first", british, "03/04/2024 10:00:00", "2024-04-03T10:00:00", true},
		{"month first", dateTime, "03/04/2024 10:00:00", "2024-03-04T10:00:00", true},
		{"no date", dateTime, "soon", newYear, false},
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
			if got := tt.field.Same(tt.stored, tt.desired); got != tt.same {
				t.Errorf("same(%v, %v) = %v, want %v", tt.stored, tt.desired, got, tt.same)
			}
			if got := tt.field.Same(tt.desired, tt.stored); got != tt.same {
				t.Errorf("the other way round it is %v", got)
			}
		})
	}
}

func TestFieldCheck(t *testing.T) {
	tests := []struct {
		name  string
		field Field
		value any
		want  string
	}{
		{"nil clears anything", Field{Name: "N", Kind: KindNumber}, nil, ""},
		{"number", Field{Name: "N", Kind: KindNumber}, n("1"), ""},
		{"number as text", Field{Name: "N", Kind: KindNumber}, "1.5", ""},
		{"no number", Field{Name: "PROPERTY_1", Code: "SUM", Kind: KindNumber}, "much", `field SUM takes a number, this is "much"`},
		{"read-only", Field{Name: "id", ReadOnly: true}, n("1"), "field id cannot be written, only the portal sets it"},
		{"a file", Field{Name: "logo", Kind: KindFile}, []any{"a.txt", "YQ=="}, "field logo holds files, which cannot be compared and would be written in every run: write it with the action call and once"},
		{"no file", Field{Name: "logo", Kind: KindFile}, nil, ""},
		{"list in a single field", Field{Name: "title"}, []any{"a"}, "field title takes one value, this is a list"},
		{"record in a text", Field{Name: "title"}, map[string]any{}, "field title takes text, this is a record"},
		{"no date", Field{Name: "D", Kind: KindDay}, "tomorrow", `field D takes a date, this is "tomorrow"`},
		{"number for a date", Field{Name: "D", Kind: KindDateTime}, n("3"), "field D takes a date and time, this is 3"},
		{"no flag", Field{Name: "opened", Title: "Open", Kind: KindFlag}, "perhaps", `field opened (Open) takes true or false, this is "perhaps"`},
		{"money", Field{Name: "M", Kind: KindMoney}, "300|USD", ""},
		{"money without currency", Field{Name: "M", Kind: KindMoney}, n("300"), "field M takes money such as 300|USD, 300 has no currency: write money(…)"},
		{"money with an empty currency", Field{Name: "M", Kind: KindMoney}, "300|", `field M takes money such as 300|USD, "300|" has no currency: write money(…)`},
		{"money of no currency", Field{Name: "M", Kind: KindMoney}, "300|руб", `field M takes money such as 300|USD, this is "300|руб"`},
		{"no amount", Field{Name: "M", Kind: KindMoney}, "many|RUB", `field M takes money such as 300|USD, this is "many|RUB"`},
		{"two choices with one text", Field{Name: "L", Kind: KindChoice, Choices: map[string]string{"1": "Red", "2": "Red"}}, "Red", `field L has several choices with the text "Red": use one of the ids 1, 2`},
		{"the id of one choice and the text of another", Field{Name: "L", Kind: KindChoice, Choices: map[string]string{"10": "20", "11": "10"}}, "10", `field L has the choice 10 (20) and a choice with the text "10" (11): write the id as a number, number(…)`},
		{"an id", Field{Name: "L", Kind: KindChoice, Choices: map[string]string{"10": "20", "11": "10"}}, n("10"), ""},
		{"phones", Field{Name: "fm", Kind: KindMultifields}, map[string]any{"phone": []any{"+7 900 111 22 33", "(8) 900", "12", "8 900 доб. 5"}}, ""},
		{"no phone", Field{Name: "fm", Kind: KindMultifields}, map[string]any{"phone": "call 55 later"}, `fm takes a phone number, this is "call 55 later"`},
		{"one digit", Field{Name: "fm", Kind: KindMultifields}, map[string]any{"phone": n("5")}, `fm takes a phone number, this is "5"`},
		{"a phone of a person", Field{Name: "fm", Kind: KindMultifields}, []any{map[string]any{"id": n("5"), "typeId": "PHONE", "value": "тел. 8 900"}}, ""},
		{"no e-mail address", Field{Name: "fm", Kind: KindMultifields}, map[string]any{"email": "anna"}, `fm takes an e-mail address, "anna" has no @`},
		{"near choice", Field{Name: "L", Kind: KindChoice, Choices: map[string]string{"1": "Shipped"}}, "Shiped", `field L has no choice "Shiped", did you mean "Shipped"?`},
		{"no choice", Field{Name: "L", Kind: KindChoice, Choices: map[string]string{"1": "Shipped"}}, "x", `field L has no choice "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.field.Check(tt.value); err != nil {
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
		var s DateOrder
		s.Observe(tt.text)
		if s.DayFirst != tt.dayFirst || s.MonthFirst != tt.monthFirst {
			t.Errorf("%s gives %+v", tt.text, s)
		}
	}
}

func TestWireValues(t *testing.T) {
	at := time.Date(2024, 12, 31, 23, 59, 59, 0, time.FixedZone("", 3*3600))
	tests := []struct {
		name       string
		field      Field
		value      any
		item, list any
	}{
		{"nil clears", Field{}, nil, "", ""},
		{"number", Field{Kind: KindNumber, Places: UnknownPlaces}, n("10.50"), json.Number("10.5"), "10.5"},
		{"rounded as the field keeps it", Field{Kind: KindNumber, Places: 2}, n("1.005"), json.Number("1.01"), "1.005"},
		{"number as text", Field{Kind: KindNumber, Places: UnknownPlaces}, "7", json.Number("7"), "7"},
		{"flag", Field{Kind: KindFlag}, false, "N", "N"},
		{"day", Field{Kind: KindDay}, at, "2024-12-31", "2024-12-31"},
		{"dateTime", Field{Kind: KindDateTime}, at, "2024-12-31T23:59:59+03:00", "2024-12-31 23:59:59"},
		{"choice", Field{Kind: KindChoice, Choices: map[string]string{"81": "Shipped"}}, "Shipped", json.Number("81"), "81"},
		{"bool in a text", Field{}, true, "Y", "Y"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.field.ItemValue(tt.value); got != tt.item {
				t.Errorf("in an item: %#v, want %#v", got, tt.item)
			}
			if got := tt.field.ListValue(tt.value); got != tt.list {
				t.Errorf("in a list: %#v, want %#v", got, tt.list)
			}
		})
	}
}

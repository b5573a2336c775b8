package formula_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine/formula"
)

func TestTemplate(t *testing.T) {
	tests := []struct{ text, want string }{
		{"no hole", "no hole"},
		{"", ""},
		{"Invoice {{ event.id }}", "Invoice 759"},
		{"{{= event.id }}/{{event.id}}", "759/759"},
		{"{{ rows[0].productName }} × {{ rows[0].quantity }}", "Tile × 3"},
		{"{{ x * 2.00 }} {{ ok }} {{ event.time }}", "5 true 2026-01-31T15:04:05Z"},
		{`{{ "{{" }} and {{ "}}" }}`, "{{ and }}"},
		{"{{ {a: {b: 1}}.a.b }}", "1"},
		{"{{{a: {b: 1}}.a.b}}", "1"},
		{"{{ `raw }}` }}!", "raw }}!"},
		{"{{ x /* }} */ }}!", "2.5!"},
		{"{{ deal.title }} и {{ открыто ? 'да' : 'нет' }}", "Крыша и нет"},
		{"a } b }} c", "a } b }} c"},
		{`{{ deal.contact?.phone ?? "" }}`, ""},
		{"{{ thing }}", "3"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			tpl, problems := formula.CompileTemplate(test.text, testEnv)
			if problems != nil {
				t.Fatal(problems)
			}
			got, err := tpl.Eval(formula.NewMachine(t.Context()), testVars())
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
			if hole := formula.HasHole(test.text); hole != strings.Contains(test.text, "{{") {
				t.Errorf("HasHole is %t", hole)
			}
		})
	}
}

func TestTemplateProblems(t *testing.T) {
	tests := []struct{ text, code, message string }{
		{"{{ deal.title }} и {{ ‹dael›.id }}", "unknown-name", `unknown name "dael"`},
		{"Привет {{= ‹dael›.id }}", "unknown-name", `unknown name "dael"`},
		{"{{ ‹maybe› }}", "maybe-missing", "the value may be missing (nil)"},
		{"{{ ‹rows› }}", "wrong-type", "a list cannot be written as text"},
		{"{{ ‹{a: 1}› }}", "wrong-type", "{a: whole number} cannot be written as text"},
		{"{{ ‹omit› }}", "wrong-type", "omit cannot be written as text"},
		{"a ‹{{› x", "syntax", "this {{ has no closing }}"},
		{"{{‹› }}", "syntax", "the formula is empty"},
		{"{{ ‹==› x }}", "syntax", "a formula starts with a single ="},
		{"{{ x ‹+› }} {{ x }}", "syntax", `something is missing after "+"`},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			text, places := marked(t, test.text)
			_, got := formula.CompileTemplate(text, testEnv)
			if len(got) != 1 {
				t.Fatalf("%d problems, want 1: %v", len(got), got)
			}
			want := formula.Problem{From: places[0][0], To: places[0][1], Code: test.code, Message: test.message, Hint: got[0].Hint}
			if test.code == "syntax" && test.message == "the formula is empty" {
				want.From, want.To = got[0].From, got[0].To
			}
			if diff := cmp.Diff(want, asTexts(got)[0]); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTemplateError(t *testing.T) {
	text, places := marked(t, "Доля {{ x ‹/› (n - 4) }}")
	tpl, problems := formula.CompileTemplate(text, testEnv)
	if problems != nil {
		t.Fatal(problems)
	}
	_, err := tpl.Eval(formula.NewMachine(t.Context()), testVars())
	var got *formula.Error
	if !errors.As(err, &got) || [2]int{got.From, got.To} != places[0] {
		t.Errorf("got %+v, want a place of %v", got, places)
	}
	if diff := cmp.Diff([]string{"n", "x"}, tpl.Vars()); diff != "" {
		t.Error(diff)
	}
}

func TestTemplateMissing(t *testing.T) {
	tpl, problems := formula.CompileTemplate("Deal {{ deal.UF_CRM_9 }}", testEnv)
	if problems != nil {
		t.Fatal(problems)
	}
	_, err := tpl.Eval(formula.NewMachine(t.Context()), testVars())
	if err == nil || !strings.Contains(err.Error(), "missing (nil)") {
		t.Errorf("error %v", err)
	}
}

func TestFromJSON(t *testing.T) {
	got, err := formula.FromJSON([]byte(`{"a": [1.50, "1.50", true, null, 0.12345678901234567890123], "b": {"c": 9007199254740993}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := record{"a": list(n("1.5"), "1.50", true, nil, n("0.12345678901234567890123")), "b": record{"c": n("9007199254740993")}}
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "{", "1 2", "1e9999", "[1] x", `{"a": 1e-999}`} {
		if v, err := formula.FromJSON([]byte(bad)); err == nil {
			t.Errorf("%s gives %v", bad, v)
		}
	}
}

func TestForeignText(t *testing.T) {
	for text, want := range map[string]string{
		"Deal ${deal.title}":              "5-18",
		"Крыша $deal.title":               "6-17",
		"$deal":                           "0-5",
		"$arFields['TITLE']":              "0-18",
		"$row->title":                     "0-11",
		"{% if deal.title %}a{% endif %}": "0-19",
		"<?= $x ?>":                       "0-3",
		"#{deal.title}":                   "0-13",
		"%deal.title%":                    "0-12",
		"[[ deal.title ]]":                "0-16",
		"{{ n }} and $deal.title":         "12-23",
		"{draft} {{ n }}: 100% ready, costs $20 (50 %)": "",
		"$USD and US$5, %name%, [[1]], #{1}, {%}, $":    "",
	} {
		template, problems := formula.CompileTemplate(text, testEnv)
		if problems != nil {
			t.Fatal(problems)
		}
		got := ""
		for _, d := range template.Doubts() {
			got += fmt.Sprintf("%d-%d", d.From, d.To)
		}
		if got != want {
			t.Errorf("%s: %s, want %s: %v", text, got, want, template.Doubts())
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, wrong := range map[string]string{
		"total": "", "rows": "", "row_1": "", "day": "", "date_of_sale": "",
		"deal-rows": "use small letters", "Rows": "use small letters", "": "use small letters", "1a": "use small letters", "$env": "use small letters",
		"sum": "function", "date": "function", "round": "function", "count": "function", "let": "word", "nil": "word", "omit": "word", "in": "word",
		"event": "what the rule runs for", "row": "row at hand", "error": "failed step", strings.Repeat("a", 65): "longer",
	} {
		err := formula.CheckName(name)
		if (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("CheckName(%q) is %v, want … %q …", name, err, wrong)
		}
	}
}

func TestTypes(t *testing.T) {
	row := formula.RecordOf(map[string]formula.Type{"a": whole, "b": text.Optional()})
	tests := []struct {
		have, want formula.Type
		fits       bool
	}{
		{whole, number, true},
		{number, whole, false},
		{formula.Type{}, number, true},
		{number, formula.Type{}, true},
		{number.Optional(), number, false},
		{number, number.Optional(), true},
		{formula.Type{Kind: formula.Nil}, number.Optional(), true},
		{formula.Type{Kind: formula.Nil}, number, false},
		{formula.Type{Kind: formula.Omit}, number, false},
		{formula.Type{Kind: formula.Omit}, formula.Type{}, true},
		{formula.ListOf(whole), formula.ListOf(number), true},
		{formula.ListOf(text), formula.ListOf(number), false},
		{row, formula.RecordOf(map[string]formula.Type{"a": number}), true},
		{row, formula.RecordOf(map[string]formula.Type{"b": text}), false},
		{row, formula.RecordOf(map[string]formula.Type{"c": text}), false},
		{row, formula.RecordOf(map[string]formula.Type{"c": text.Optional()}), true},
		{formula.OpenRecord(nil), formula.RecordOf(map[string]formula.Type{"c": text}), true},
	}
	for _, test := range tests {
		if got := formula.Fits(test.have, test.want); got != test.fits {
			t.Errorf("Fits(%s, %s) is %t", test.have, test.want, got)
		}
	}
	if got := formula.Unify(row, formula.RecordOf(map[string]formula.Type{"a": number})).String(); got != "{a: number, b: text}" {
		t.Errorf("Unify gives %s", got)
	}
	if got := formula.Unify(whole.Optional(), number).String(); got != "number or nil" {
		t.Errorf("Unify gives %s", got)
	}
}

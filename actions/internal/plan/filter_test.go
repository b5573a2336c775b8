package plan

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/num"
)

func testItemSchema() *ItemSchema {
	s := &ItemSchema{Type: 2, byName: map[string]*value.Field{}}
	for _, f := range []*value.Field{
		{Name: "id", Kind: value.KindNumber, ReadOnly: true, ZeroIsEmpty: true, Places: value.UnknownPlaces},
		{Name: "title", ZeroIsEmpty: true},
		{Name: "opportunity", Kind: value.KindNumber, ZeroIsEmpty: true, Places: 2},
		{Name: "opened", Kind: value.KindFlag, ZeroIsEmpty: true},
		{Name: "ufCrm_7", Kind: value.KindFlag, Custom: true, ZeroIsEmpty: true},
		{Name: "contactIds", Multiple: true, ZeroIsEmpty: true},
		{Name: "createdTime", Kind: value.KindDateTime, ZeroIsEmpty: true},
		{Name: "companyId", ZeroIsEmpty: true},
	} {
		s.fields = append(s.fields, f)
		s.byName[f.Name] = f
	}
	return s
}

func n(text string) num.Num { return num.MustParse(text) }

func TestVerify(t *testing.T) {
	s := testItemSchema()
	item := map[string]any{
		"id": n("7"), "title": "Roof", "opportunity": n("100"), "opened": "Y", "ufCrm_7": "N",
		"contactIds": []any{n("1"), n("2")}, "createdTime": "2024-07-23T19:10:26+02:00", "companyId": n("0"),
	}
	const ignored = "the portal returned item 7 of type 2, which does not match the filter on %s: it does not apply this filter"
	tests := []struct {
		key                string
		value              any
		approximate, tight string // the error, % is the field, "" when there is none
	}{
		{"title", "Roof", "", ""},
		{"title", "Wall", "title", "title"},
		{"title", "ROOF ", "", "out"}, // a database takes these for equal, a deletion does not
		{"title", "RÖÖF", "", "out"},
		{"!title", "ROOF", "", ""},
		{"=opportunity", "100.00", "", ""},
		{"!=opportunity", n("100"), "opportunity", "opportunity"},
		{"@id", []any{n("6"), n("7")}, "", ""},
		{"@id", []any{n("6")}, "id", "id"},
		{"!@id", []any{n("7")}, "id", "id"},
		{">opportunity", n("99"), "", ""},
		{">opportunity", n("100"), "opportunity", "opportunity"},
		{">=opportunity", n("100"), "", ""},
		{"<opportunity", n("100"), "opportunity", "opportunity"},
		{"<=opportunity", n("100"), "", ""},
		{"opened", true, "", ""},
		{"opened", "N", "opened", "opened"},
		{"ufCrm_7", n("0"), "", ""},
		{"contactIds", n("2"), "", ""},
		{"contactIds", n("3"), "contactIds", "contactIds"},
		{"companyId", n("0"), "", ""},
		{"companyId", nil, "", ""},
		{">createdTime", "2024-07-23T17:10:25+00:00", "", ""},
		{">createdTime", "2024-07-23T17:10:27+00:00", "createdTime", "createdTime"},
		{"%title", "oo", "", "unknown"},
		{">title", "A", "", "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.key, func(t *testing.T) {
			conditions, err := ParseConditions(engine.Fields{{Name: tt.key, Value: tt.value}}, s.Resolve)
			if err != nil {
				t.Fatal(err)
			}
			value := func(f *value.Field) (any, bool) { v, ok := item[f.Name]; return v, ok }
			for strict, want := range map[bool]string{false: tt.approximate, true: tt.tight} {
				in, got := Verify(conditions, value, "item 7 of type 2", strict)
				switch {
				case want == "out" && (in || got != nil):
					t.Errorf("strict %v: in is %v, %v, want that it is left out", strict, in, got)
				case want == "out":
				case want == "" && (got != nil || !in):
					t.Errorf("strict %v: %v", strict, got)
				case want == "unknown" && (got == nil || got.Error() != "the filter on "+tt.key+" cannot be checked against item 7 of type 2"):
					t.Errorf("strict %v: %v, want that it cannot be checked", strict, got)
				case want != "" && want != "unknown" && (got == nil || got.Error() != replace(ignored, want)):
					t.Errorf("strict %v: %v, want that %s is ignored", strict, got, want)
				}
			}
		})
	}
}

func replace(text, name string) string {
	return text[:len("the portal returned item 7 of type 2, which does not match the filter on ")] + name + text[len("the portal returned item 7 of type 2, which does not match the filter on %s"):]
}

func TestFilterParams(t *testing.T) {
	s := testItemSchema()
	conditions, err := ParseConditions(engine.Fields{
		{Name: "title", Value: "Roof"},
		{Name: ">=opportunity", Value: n("0.10")},
		{Name: "@id", Value: []any{n("1"), n("2")}},
		{Name: "opened", Value: true},
		{Name: "ufCrm_7", Value: true},
		{Name: "companyId", Value: nil},
		{Name: "0", Value: map[string]any{"logic": "OR", "title": "a"}},
	}, s.Resolve)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"=title": "Roof", ">=opportunity": json.Number("0.1"), "@id": []any{json.Number("1"), json.Number("2")},
		"=opened": "Y", "=ufCrm_7": json.Number("1"), "=companyId": "", "0": map[string]any{"logic": "OR", "title": "a"},
	}
	if diff := cmp.Diff(want, FilterParams(conditions, itemFilterOne)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := ParseConditions(engine.Fields{{Name: ">=oportunity", Value: n("1")}}, s.Resolve); err == nil || err.Error() != `items of type 2 have no field "oportunity", did you mean "opportunity"?` {
		t.Errorf("a misspelt name gives %v", err)
	}
}

func TestRefuseEmpty(t *testing.T) {
	s := testItemSchema()
	for _, f := range []engine.Fields{
		nil,
		{{Name: "title", Value: ""}},
		{{Name: "title", Value: nil}},
		{{Name: "@id", Value: []any{}}},
		{{Name: "companyId", Value: n("0")}},
		{{Name: "@companyId", Value: []any{n("5"), nil}}},
		{{Name: "!=companyId", Value: n("0")}},
		{{Name: ">opportunity", Value: nil}},
	} {
		conditions, err := ParseConditions(f, s.Resolve)
		if err != nil {
			t.Fatal(err)
		}
		if RefuseEmpty(conditions) == nil {
			t.Errorf("the filter %v is taken", f)
		}
	}
	for _, f := range []engine.Fields{{{Name: ">opportunity", Value: n("0")}}, {{Name: "opened", Value: false}}, {{Name: "@companyId", Value: []any{n("5")}}}} {
		conditions, err := ParseConditions(f, s.Resolve)
		if err != nil {
			t.Fatal(err)
		}
		if err := RefuseEmpty(conditions); err != nil {
			t.Errorf("the filter %v: %v", f, err)
		}
	}
}

package value

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMissing(t *testing.T) {
	entry := func(id, typ, value string) map[string]any {
		out := map[string]any{"typeId": typ, "value": value}
		if id != "" {
			out["id"] = id
		}
		return out
	}
	stored := []any{entry("1", "PHONE", "+7 (900) 111-22-33"), entry("2", "EMAIL", "Ivan@example.com")}
	tests := []struct {
		name    string
		desired any
		want    []any
	}{
		{"the same list", stored, nil},
		{"nothing named", []any{}, nil},
		{"another spelling without an id", map[string]any{"phone": "+79001112233", "email": []any{"ivan@EXAMPLE.com"}}, nil},
		{"another spelling with an id", []any{entry("1", "PHONE", "+79001112233")}, []any{entry("1", "PHONE", "+79001112233")}},
		{"the national form", map[string]any{"phone": "8 900 111-22-33"}, nil},
		{"a new phone, twice", map[string]any{"phone": []any{"+79000000001", "+7 900 000-00-01"}}, []any{entry("", "PHONE", "+79000000001")}},
		{
			"the kind of a new phone",
			map[string]any{"phone": []any{map[string]any{"value": "+79000000001", "valueType": "MOBILE"}}},
			[]any{map[string]any{"typeId": "PHONE", "value": "+79000000001", "valueType": "MOBILE"}},
		},
		{"a phone is no e-mail", map[string]any{"web": "+79001112233"}, []any{entry("", "WEB", "+79001112233")}},
		{"an entry is deleted", []any{entry("2", "EMAIL", "")}, []any{entry("2", "EMAIL", "")}},
		{"a deleted entry is not stored", []any{entry("9", "EMAIL", "")}, nil},
		{"an empty new entry", map[string]any{"phone": ""}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := checkMultifields(tt.desired); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, Missing(stored, tt.desired)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	gone := func(id, typ string) map[string]any { return entry(id, typ, "") }
	other := entry("3", "PHONE", "+7 900 111 22 33")
	for name, tt := range map[string]struct {
		desired any
		want    []any
	}{
		"the same":                  {map[string]any{"phone": "89001112233"}, []any{gone("3", "PHONE")}},
		"another phone":             {map[string]any{"phone": []any{"+79000000001"}}, []any{entry("", "PHONE", "+79000000001"), gone("1", "PHONE"), gone("3", "PHONE")}},
		"no phone":                  {map[string]any{"phone": []any{}}, []any{gone("1", "PHONE"), gone("3", "PHONE")}},
		"an empty phone":            {map[string]any{"phone": ""}, []any{gone("1", "PHONE"), gone("3", "PHONE")}},
		"a type that is not stored": {map[string]any{"web": []any{}}, nil},
		"nothing named":             {map[string]any{}, nil},
		"by id":                     {[]any{entry("3", "PHONE", "+79000000002")}, []any{entry("3", "PHONE", "+79000000002"), gone("1", "PHONE")}},
		"an id that is not stored":  {[]any{entry("9", "PHONE", "+79000000002")}, []any{entry("9", "PHONE", "+79000000002"), gone("1", "PHONE"), gone("3", "PHONE")}},
		"phones and no e-mail":      {map[string]any{"phone": "+79001112233", "email": []any{}}, []any{gone("2", "EMAIL"), gone("3", "PHONE")}},
	} {
		all := append(slices.Clone(stored), other)
		desired := Replacing(all, tt.desired)
		if err := checkMultifields(desired); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, Missing(all, desired)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	changed := ChangedMultifields([]any{entry("1", "PHONE", "+7"), entry("", "EMAIL", "a@b")})
	want := map[string]any{"1": entry("", "PHONE", "+7"), "n2": entry("", "EMAIL", "a@b")}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, wrong := range []any{nil, "+79001112233", []any{"+79001112233"}, map[string]any{"fax": "1"}, map[string]any{"phone": "none"}, map[string]any{"email": "nobody"}, []any{entry("", "FAX", "1")}} {
		if checkMultifields(wrong) == nil {
			t.Errorf("%v is accepted", wrong)
		}
	}
}

package value

import (
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

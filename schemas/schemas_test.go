package schemas_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/schemas"
)

func TestLookupEvent(t *testing.T) {
	tests := []struct {
		code   string
		want   schemas.Event
		suffix int
		ok     bool
	}{
		{code: "ONCRMDEALUPDATE", want: schemas.Event{Code: "ONCRMDEALUPDATE", Entity: "deal", Op: "update", Fields: []string{"ID"}, IDs: []string{"FIELDS.ID"}}, ok: true},
		{code: "onCrmDealAdd", want: schemas.Event{Code: "ONCRMDEALADD", Entity: "deal", Op: "add", Fields: []string{"ID"}, IDs: []string{"FIELDS.ID"}}, ok: true},
		{
			code: "onCrmDynamicItemUpdate_1072", suffix: 1072, ok: true,
			want: schemas.Event{Code: "ONCRMDYNAMICITEMUPDATE", Entity: "item", Op: "update", Fields: []string{"ID", "ENTITY_TYPE_ID"}, IDs: []string{"FIELDS.ID"}},
		},
		{
			code: "ONCRMDEALMOVETOCATEGORY", ok: true,
			want: schemas.Event{Code: "ONCRMDEALMOVETOCATEGORY", Entity: "deal", Op: "update", Fields: []string{"ID", "CATEGORY_ID", "STAGE_ID"}, IDs: []string{"FIELDS.ID"}, AppOnly: true},
		},
		{code: "catalog.product.on.delete", want: schemas.Event{Code: "CATALOG.PRODUCT.ON.DELETE", Op: "delete", Fields: []string{"ID", "TYPE"}, IDs: []string{"FIELDS.ID"}, AppOnly: true}, ok: true},
		{code: "ONCRMDEALUPDATE_1072"}, // only dynamic items have suffixes
		{code: "ONCRMDYNAMICITEMADD_"},
		{code: "ONCRMDYNAMICITEMADD_0"},
		{code: "ONCRMDYNAMICITEMADD_01"},
		{code: "ONCRMDYNAMICITEMADD_-3"},
		{code: "ONCRMDYNAMICITEMADD_99999999999999999999"},
		{code: "ONCRMDEAL"},
		{code: ""},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			got, suffix, ok := schemas.LookupEvent(tt.code)
			if diff := cmp.Diff(tt.want, got); diff != "" || suffix != tt.suffix || ok != tt.ok {
				t.Errorf("suffix %d, ok %v, want %d, %v (-want +got)\n%s", suffix, ok, tt.suffix, tt.ok, diff)
			}
		})
	}
}

func TestEventsAreConsistent(t *testing.T) {
	codes := map[string]bool{}
	for _, e := range schemas.Events() {
		if codes[e.Code] {
			t.Errorf("%s stands twice", e.Code)
		}
		codes[e.Code] = true
		if e.Code != strings.ToUpper(e.Code) {
			t.Errorf("%s is not in upper case", e.Code)
		}
		if got, _, ok := schemas.LookupEvent(e.Code); !ok || !cmp.Equal(got, e) {
			t.Errorf("LookupEvent(%s) gives %+v, want %+v", e.Code, got, e)
		}
		for _, place := range e.IDs {
			group, name, nested := strings.Cut(place, ".")
			switch {
			case group == "FIELDS" && !slices.Contains(e.Fields, name):
				t.Errorf("%s says its id at %s, which it does not carry", e.Code, place)
			case group != "FIELDS" && !slices.Contains(e.Data, group), nested && name == "":
				t.Errorf("%s says its id at %s, which it does not carry", e.Code, place)
			}
		}
		for _, op := range []string{"add", "update", "delete"} {
			if strings.HasSuffix(e.Code, strings.ToUpper(op)) && !strings.HasSuffix(e.Code, "APPUPDATE") && e.Op != op && !e.Legacy {
				t.Errorf("%s has the operation %q, want %q", e.Code, e.Op, op)
			}
		}
	}
	if len(codes) < 190 {
		t.Errorf("only %d events", len(codes))
	}
}

func TestEventsCannotBeChanged(t *testing.T) {
	e, _, _ := schemas.LookupEvent("ONCRMDEALADD")
	e.Fields[0] = "X"
	if again, _, _ := schemas.LookupEvent("ONCRMDEALADD"); again.Fields[0] != "ID" {
		t.Error("a caller changed the catalogue")
	}
}

func TestFields(t *testing.T) {
	tests := []struct {
		name   string
		fields []schemas.Field
		want   []schemas.Field // some of them
		not    []string
	}{
		{
			name: "deal", fields: schemas.ItemFields(2), not: []string{"accountNumber", "fm"},
			want: []schemas.Field{
				{Name: "id", Type: "integer", Title: "ID", ReadOnly: true},
				{Name: "stageId", Type: "crm_status", Title: "Stage"},
				{Name: "opportunity", Type: "double", Title: "Amount"},
				{Name: "contactIds", Type: "crm_contact", Title: "Contacts", Multiple: true},
			},
		},
		{
			name: "smart invoice", fields: schemas.ItemFields(31), not: []string{"closed", "stageSemanticId"},
			want: []schemas.Field{{Name: "accountNumber", Type: "string", Title: "Invoice number", ReadOnly: true}},
		},
		{name: "smart process", fields: schemas.ItemFields(177), want: []schemas.Field{{Name: "stageId", Type: "crm_status", Title: "Stage", Maybe: true}}},
		{name: "lead", fields: schemas.ItemFields(1)},
		{name: "contact", fields: schemas.ItemFields(3)},
		{name: "company", fields: schemas.ItemFields(4)},
		{name: "quote", fields: schemas.ItemFields(7)},
		{
			name: "product row", fields: schemas.ProductRowFields(),
			want: []schemas.Field{{Name: "taxRate", Type: "double", Title: "Tax, %; null is no tax, not 0 %", Maybe: true}},
		},
		{name: "list", fields: schemas.ListSystemFields(), want: []schemas.Field{{Name: "NAME", Type: "string", Title: "Name"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if len(tt.fields) < 10 {
				t.Fatalf("only %d fields", len(tt.fields))
			}
			seen := map[string]bool{}
			for _, f := range tt.fields {
				if seen[f.Name] || f.Name == "" || f.Type == "" || f.Title == "" {
					t.Errorf("%+v stands twice or has empty parts", f)
				}
				seen[f.Name] = true
			}
			for _, f := range tt.want {
				if !slices.Contains(tt.fields, f) {
					t.Errorf("want %+v", f)
				}
			}
			for _, name := range tt.not {
				if seen[name] {
					t.Errorf("%s is not documented for it", name)
				}
			}
		})
	}
	for _, unknown := range []int{0, -1, 5, 8, 127} {
		if got := schemas.ItemFields(unknown); got != nil {
			t.Errorf("ItemFields(%d) = %v, want nil", unknown, got)
		}
	}
}

func TestOwners(t *testing.T) {
	for _, tt := range []struct {
		id   int
		want schemas.Owner
	}{
		{2, schemas.Owner{ID: 2, Name: "deal", Short: "D", Symbol: "DEAL", Rows: true}},
		{31, schemas.Owner{ID: 31, Name: "smart_invoice", Short: "SI", Symbol: "SMART_INVOICE", Rows: true}},
		{4, schemas.Owner{ID: 4, Name: "company", Short: "CO", Symbol: "COMPANY"}},
		{128, schemas.Owner{ID: 128, Name: "dynamic_128", Short: "T80", Symbol: "DYNAMIC_128", Rows: true}},
		{179, schemas.Owner{ID: 179, Name: "dynamic_179", Short: "Tb3", Symbol: "DYNAMIC_179", Rows: true}},
		{1030, schemas.Owner{ID: 1030, Name: "dynamic_1030", Short: "T406", Symbol: "DYNAMIC_1030", Rows: true}},
		{5, schemas.Owner{ID: 5}},
	} {
		if diff := cmp.Diff(tt.want, schemas.OwnerByType(tt.id)); diff != "" {
			t.Errorf("OwnerByType(%d) (-want +got)\n%s", tt.id, diff)
		}
	}
	for _, name := range []string{"deal", "DEAL", "Smart_Invoice", "lead", "quote", "contact", "company"} {
		if o, ok := schemas.LookupOwner(name); !ok || !strings.EqualFold(o.Name, name) {
			t.Errorf("LookupOwner(%q) = %+v, %v", name, o, ok)
		}
	}
	if o, ok := schemas.LookupOwner("invoice"); ok {
		t.Errorf("LookupOwner(invoice) = %+v: crm.item.* refuses the old invoice", o)
	}
	if got := len(schemas.Owners()); got != 6 {
		t.Errorf("%d owners, want 6", got)
	}
}

func TestLookupMethod(t *testing.T) {
	for name, want := range map[string]string{
		"crm.item.get": "read", "CRM.Item.List": "read", "crm.item.update": "write", "crm.item.batchimport": "write",
		"crm.deal.productrows.set": "write", "crm.deal.userfield.list": "read", "lists.element.get": "read",
		"lists.element.delete": "write", "user.current": "read", "profile": "read", "im.notify": "write",
		"im.notify.personal.add": "write", "crm.type.getByEntityTypeId": "read", "event.offline.get": "write",
		"tasks.task.complete": "write", "disk.file.getExternalLink": "write", "im.v2.Event.get": "write", "imconnector.send.messages": "write", "crm.timeline.comment.add": "write", "userfieldconfig.add": "write",
	} {
		if m, ok := schemas.LookupMethod(name); !ok || m.Effect != want || !strings.EqualFold(m.Name, name) {
			t.Errorf("LookupMethod(%s) = %+v, %v, want %s", name, m, ok, want)
		}
	}
	for _, name := range []string{"", "batch", "crm.item", "crm.item.gett", "crm.deal.contact.items.add"} {
		if m, ok := schemas.LookupMethod(name); ok {
			t.Errorf("LookupMethod(%q) = %+v, want none", name, m)
		}
	}
	if got := len(schemas.Methods()); got < 1600 {
		t.Errorf("only %d methods", got)
	}
	// A name that says it writes must not be listed as a read.
	for _, m := range schemas.Methods() {
		if m.Effect != schemas.Read && m.Effect != schemas.Write || m.Name == "" || strings.ContainsAny(m.Name, " \t#") {
			t.Errorf("the table has the line %+v", m)
		}
		last := m.Name[strings.LastIndex(m.Name, ".")+1:]
		for _, verb := range []string{"add", "update", "delete", "set", "import"} {
			if last == verb && m.Effect != schemas.Write {
				t.Errorf("%s is listed as a read", m.Name)
			}
		}
	}
}

package service_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/journal"
)

// TestDeletedProperty: people change the properties of a list directly after a run has read
// them. The portal ignores a property that it no longer has, and answers with success.
func TestDeletedProperty(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(h *harness, list map[string]any)
		says   string // in the log, directly after the change
		want   string // in the error of the parked run; "" if no run is parked
	}{
		{"deleted", func(h *harness, list map[string]any) { h.property("lists.field.delete", list, "SUM", nil) }, "list 47 no longer has the property SUM", "SUM"},
		// The value is kept, and the next run no longer finds the property.
		{"a new code", func(h *harness, list map[string]any) {
			h.property("lists.field.update", list, "SUM", map[string]any{"NAME": "Total", "TYPE": "N", "CODE": "TOTAL"})
		}, "", `no property "SUM"`},
		{"another one with its code", func(h *harness, list map[string]any) {
			h.property("lists.field.delete", list, "SUM", nil)
			h.Rest("lists.field.add", with(list, map[string]any{"FIELDS": map[string]any{"NAME": "Sum", "TYPE": "S", "CODE": "SUM"}}), nil)
		}, "property SUM of list 47 has been replaced", ""},
		{"the list", func(h *harness, list map[string]any) { h.Rest("lists.delete", list, nil) }, "", "lists."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, apptest.Options{Limits: config.Limits{Attempts: 2}})
			deal := h.AddDeal("Roof", row("Tiles", "10", "3"))
			h.Wait()
			list := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": h.IDs.ShipmentList}
			tt.change(h, list)
			h.SetRows(deal, row("Tiles", "20", "3"))
			h.Wait()
			if !strings.Contains(h.Log.String(), tt.says) {
				t.Errorf("nothing says %q", tt.says)
			}
			h.Touch(deal, "Roof 2")
			parked := h.parked()
			if tt.want == "" {
				if len(parked) > 0 {
					t.Errorf("parked: %v", parked)
				}
				for _, e := range h.Elements(deal) {
					if got := e.Values(h.propertyID(list, "SUM")); !slices.Equal(got, []string{"60"}) {
						t.Errorf("the new property has %q, want 60", got)
					}
				}
				return
			}
			if len(parked) == 0 {
				t.Fatalf("no run is parked, states %v", h.States())
			}
			for _, err := range parked {
				if !strings.Contains(err, tt.want) || !strings.Contains(err, "deal-shipments.yaml:") {
					t.Errorf("parked with %q, want %q and the place in the rule file", err, tt.want)
				}
			}
		})
	}
}

// with returns a map with the members of both.
func with(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// property changes the property of a list with a code.
func (h *harness) property(method string, list map[string]any, code string, fields map[string]any) {
	h.T.Helper()
	params := with(list, map[string]any{"FIELD_ID": h.propertyID(list, code)})
	if fields != nil {
		params["FIELDS"] = fields
	}
	h.Rest(method, params, nil)
}

// propertyID returns the id of the property of a list with a code.
func (h *harness) propertyID(list map[string]any, code string) string {
	h.T.Helper()
	var all map[string]struct {
		ID   string `json:"FIELD_ID"`
		Code string `json:"CODE"`
	}
	h.Rest("lists.field.get", list, &all)
	for _, f := range all {
		if f.Code == code {
			return f.ID
		}
	}
	h.T.Fatalf("the list has no property %s", code)
	return ""
}

// parked returns the errors of the parked runs.
func (h *harness) parked() (out []string) {
	h.T.Helper()
	runs, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{States: []journal.State{journal.Parked}})
	if err != nil {
		h.T.Fatal(err)
	}
	for _, r := range runs {
		out = append(out, r.Error)
	}
	return out
}

// TestDeletedField: people delete what a rule reads or writes in the CRM directly after a run
// has read the descriptions. The rule must not compute with nothing, and no value is lost in
// silence.
func TestDeletedField(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, step, gone, want string }{
		{"written", "update_item: {owner: deal, id: =event.id, fields: {ufCrm_OUT: =deal.ufCrm_IN * 2}}", "UF_CRM_OUT", "ufCrm_OUT"},
		{"written into another item", "upsert_item: {entityTypeId: 1038, key: {ufCrm5InvoiceId: =event.id}, fields: {title: Deal, ufCrm5Total: =deal.ufCrm_IN * 2}}", "UF_CRM_5_TOTAL", "ufCrm5Total"},
		{"written into items", "sync_items: {entityTypeId: 1038, scope: {ufCrm5InvoiceId: =event.id}, rows: '=[deal.ufCrm_IN]', key: {title: A}, fields: {ufCrm5Total: =row}}", "UF_CRM_5_TOTAL", "ufCrm5Total"},
		{"read", "update_item: {owner: deal, id: =event.id, fields: {ufCrm_OUT: '=deal.ufCrm_IN ?? 1'}}", "UF_CRM_IN", "ufCrm_IN"},
		{"a key", "upsert_item: {entityTypeId: 1038, key: {ufCrm5InvoiceId: =event.id}, fields: {title: Deal, ufCrm5Total: =deal.ufCrm_IN * 2}}", "UF_CRM_5_INVOICE_ID", "ufCrm5InvoiceId"},
		{"a type", "upsert_item: {entityTypeId: 1038, key: {ufCrm5InvoiceId: =event.id}, fields: {title: Deal, ufCrm5Total: =deal.ufCrm_IN * 2}}", "", "crm.item.list: NOT_FOUND"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ids := map[string]string{}
			rule := fstest.MapFS{"own.yaml": &fstest.MapFile{Data: []byte("version: 1\nrules:\n  own:\n    on: ONCRMDEALUPDATE\n    steps:\n      - id: deal\n        fetch_item: {owner: deal, id: =event.id}\n      - " + tt.step + "\n")}}
			h := newHarness(t, apptest.Options{Rules: rule, Limits: config.Limits{Attempts: 2}})
			for _, name := range []string{"UF_CRM_IN", "UF_CRM_OUT"} {
				var added struct{ Field struct{ ID string } }
				h.Rest("userfieldconfig.add", map[string]any{"moduleId": "crm", "field": map[string]any{"entityId": "CRM_DEAL", "fieldName": name, "userTypeId": "double"}}, &added)
				ids[name] = added.Field.ID
			}
			var list struct {
				Fields []struct{ ID, FieldName string }
			}
			h.Rest("userfieldconfig.list", map[string]any{"moduleId": "crm", "filter": map[string]any{"entityId": "CRM_5"}}, &list)
			for _, f := range list.Fields {
				ids[f.FieldName] = f.ID
			}
			deal := h.AddDeal("Roof")
			set := func(value int) {
				h.Rest("crm.item.update", map[string]any{"entityTypeId": 2, "id": deal, "fields": map[string]any{"ufCrm_IN": value, "title": fmt.Sprint(value)}}, nil)
				h.Wait()
			}
			set(5)
			if parked := h.parked(); len(parked) > 0 {
				t.Fatalf("parked: %v", parked)
			}
			if tt.gone == "" {
				var items struct{ Items []struct{ ID int } }
				h.Rest("crm.item.list", map[string]any{"entityTypeId": 1038}, &items)
				for _, i := range items.Items {
					h.Rest("crm.item.delete", map[string]any{"entityTypeId": 1038, "id": i.ID}, nil)
				}
				h.Rest("crm.type.delete", map[string]any{"id": 5}, nil)
			} else {
				h.Rest("userfieldconfig.delete", map[string]any{"moduleId": "crm", "id": ids[tt.gone]}, nil)
			}
			set(7)
			parked := h.parked()
			if len(parked) != 1 || !strings.Contains(parked[0], tt.want) || !strings.Contains(parked[0], "own.yaml:") {
				t.Errorf("parked: %q, want one error with %q and the place in the rule file", parked, tt.want)
			}
		})
	}
}

// TestDeletedPropertyThatIsRead: an element has no key for a property without a value, so a
// formula would take a deleted property for an empty one.
func TestDeletedPropertyThatIsRead(t *testing.T) {
	t.Parallel()
	rule := fstest.MapFS{"own.yaml": &fstest.MapFile{Data: []byte(`version: 1
rules:
  own:
    on: ONCRMDEALUPDATE
    steps:
      - id: elements
        fetch_elements: {list: 47, filter: {DEAL: =event.id}}
      - update_item: {owner: deal, id: =event.id, fields: {comments: "{{ sum(elements, .SUM ?? 0) }}"}}
`)}}
	h := newHarness(t, apptest.Options{Rules: rule, Limits: config.Limits{Attempts: 2}})
	deal := h.AddDeal("Roof")
	h.AddElement("one", "One", map[string]any{"DEAL": deal, "SUM": 5})
	h.Touch(deal, "Roof 2")
	if parked := h.parked(); len(parked) > 0 {
		t.Fatalf("parked: %v", parked)
	}
	list := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": h.IDs.ShipmentList}
	h.property("lists.field.delete", list, "SUM", nil)
	h.Service.Reload() // the fields are read again, as after a minute
	h.Until("reloaded", func() bool {
		h.Touch(deal, fmt.Sprint("Roof ", time.Now()))
		return len(h.parked()) > 0
	})
	if parked := h.parked(); !strings.Contains(parked[0], "the portal no longer has the field SUM") || !strings.Contains(parked[0], "own.yaml:9:") {
		t.Errorf("parked: %q", parked)
	}
}

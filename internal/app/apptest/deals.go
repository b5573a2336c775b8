package apptest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/google/go-cmp/cmp"
)

// AddDeal adds a deal with rows and waits until the list is updated.
func (h *Harness) AddDeal(title string, rows ...demo.Row) (deal int) {
	h.T.Helper()
	h.AtOnce(func() {
		var err error
		if deal, err = h.People.AddDeal(h.Context(), title, rows...); err != nil {
			h.T.Fatal(err)
		}
	})
	h.Wait()
	return deal
}

// SetRows saves a deal's product tab and waits until the list is updated.
func (h *Harness) SetRows(deal int, rows ...demo.Row) {
	h.T.Helper()
	if err := h.People.SetRows(h.Context(), "D", deal, rows); err != nil {
		h.T.Fatal(err)
	}
	h.Wait()
}

// Elements returns the elements of a deal by their names.
func (h *Harness) Elements(deal int) map[string]demo.Element {
	h.T.Helper()
	list, err := h.People.Elements(h.Context(), deal)
	if err != nil {
		h.T.Fatal(err)
	}
	out := map[string]demo.Element{}
	for _, e := range list {
		name := Text(e, "NAME")
		if _, twice := out[name]; twice {
			h.T.Errorf("two elements are named %q", name)
		}
		out[name] = e
	}
	return out
}

// AddElement adds an element to the list as a person or a script.
func (h *Harness) AddElement(code, name string, properties map[string]any) {
	h.T.Helper()
	h.Rest("lists.element.add", h.ElementParams(code, name, properties), nil)
}

// ElementParams are the parameters of lists.element.add for properties by
// their codes.
func (h *Harness) ElementParams(code, name string, properties map[string]any) map[string]any {
	fields := map[string]any{"NAME": name}
	for c, v := range properties {
		fields[h.People.Props[c]] = v
	}
	return map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": h.People.List, "ELEMENT_CODE": code, "FIELDS": fields}
}

// Property returns the one value of a property by its code.
func (h *Harness) Property(e demo.Element, code string) string {
	h.T.Helper()
	v := e.Values(h.People.Props[code])
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

// Touch changes a deal's title. No element depends on it.
func (h *Harness) Touch(deal int, title string) {
	h.T.Helper()
	h.Rest("crm.deal.update", map[string]any{"id": deal, "fields": map[string]any{"TITLE": title}}, nil)
	h.Wait()
}

// Text returns the text of an element's field.
func Text(e demo.Element, key string) string {
	var s string
	for _, c := range string(e[key]) {
		if c != '"' {
			s += string(c)
		}
	}
	return s
}

func names(m map[string]demo.Element) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// WantNames compares the names of elements.
func WantNames(t *testing.T, got map[string]demo.Element, want ...string) {
	t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Errorf("elements (-want +got):\n%s", diff)
	}
}

// Fill adds deals whose events no engine receives.
func (h *Harness) Fill(n int) (deals []int) {
	h.T.Helper()
	for i := range n {
		id, err := h.People.AddDeal(h.Context(), fmt.Sprint("Deal ", i), demo.Row{Name: "Nails", Price: "1", Quantity: "5"})
		if err != nil {
			h.T.Fatal(err)
		}
		deals = append(deals, id)
	}
	if err := h.Portal.WaitIdle(h.Context()); err != nil {
		h.T.Fatal(err)
	}
	return deals
}

// Missing counts the deals that have no element.
func (h *Harness) Missing(deals []int) int {
	h.T.Helper()
	n := 0
	for _, id := range deals {
		if len(h.Elements(id)) != 1 {
			n++
		}
	}
	return n
}

// SetRowsQuietly changes rows while no engine receives events.
func (h *Harness) SetRowsQuietly(deal int, rows ...demo.Row) {
	h.T.Helper()
	if err := h.People.SetRows(h.Context(), "D", deal, rows); err != nil {
		h.T.Fatal(err)
	}
	if err := h.Portal.WaitIdle(h.Context()); err != nil {
		h.T.Fatal(err)
	}
}

package plan

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// DecodeElements decodes rows of lists.element.get. They are sorted by id.
func (s *ListSchema) DecodeElements(raw []json.RawMessage) ([]*Record, error) {
	out := make([]*Record, 0, len(raw))
	now := time.Now()
	for _, r := range raw {
		e, err := decodeElement(r)
		if err != nil {
			return nil, err
		}
		e.read = now
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *Record) int { return cmp.Compare(a.ID, b.ID) })
	// A page that shifted while the pages were read has an element twice.
	out = slices.CompactFunc(out, func(a, b *Record) bool { return a.ID == b.ID })
	return out, nil
}

func decodeElement(raw json.RawMessage) (*Record, error) {
	v, err := formula.FromJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("read a list element: %w", err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("read a list element: got %s instead of an object", value.KindOf(v))
	}
	id, ok := value.NumberOf(m["ID"])
	n, whole := id.Int64()
	if !ok || !whole || n <= 0 {
		return nil, fmt.Errorf("read a list element: it has no ID")
	}
	e := &Record{ID: int(n), Code: value.TextOf(m["CODE"]), Values: make(map[string]any, len(m)), valueIDs: make(map[string][]string, len(m))}
	for name, x := range m {
		if strings.HasPrefix(name, "PROPERTY_") {
			e.Values[name], e.valueIDs[name] = decodeProperty(x)
			continue
		}
		e.Values[name] = x
	}
	return e, nil
}

// decodeProperty reads {valueId: value}. Value ids grow, so their order is the
// order of the values.
func decodeProperty(v any) (values []any, ids []string) {
	switch x := v.(type) {
	case map[string]any:
		for id := range x {
			ids = append(ids, id)
		}
		slices.SortFunc(ids, func(a, b string) int {
			return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
		})
		for _, id := range ids {
			values = append(values, x[id])
		}
	case []any:
		for i, e := range x {
			ids, values = append(ids, strconv.Itoa(i)), append(values, e)
		}
	case nil:
	default:
		ids, values = []string{"0"}, []any{x}
	}
	return values, ids
}

// Shown is an element as a formula's value.
func (l *List) Shown(c *engine.Call, e *Record) map[string]any {
	out := map[string]any{}
	var properties []string
	for name, v := range e.Values {
		if !strings.HasPrefix(name, "PROPERTY_") {
			out[name] = v
		}
	}
	for _, f := range l.Schema.fields {
		if !strings.HasPrefix(f.Name, "PROPERTY_") {
			continue
		}
		name := cmp.Or(f.Code, f.Name)
		properties = append(properties, name)
		out[name] = f.Shown(e.Values[f.Name])
	}
	c.MarkDeleted(engine.PlaceOfList(l.id), out, properties)
	out["id"] = num.FromInt(int64(e.ID))
	out["code"] = e.Code
	out["name"] = value.TextOf(e.Values["NAME"])
	out["sectionId"] = value.Typed(e.Values["IBLOCK_SECTION_ID"], formula.Int, true)
	return out
}

// FindByCode reads the oldest element with the first of some codes that an element has. It is nil
// if there is none.
func (l *List) FindByCode(ctx context.Context, c *engine.Call, codes ...string) (*Record, error) {
	found, err := l.ReadByCode(ctx, c, codes, false)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	code := found[0].Code
	n := 0
	for _, r := range found {
		if r.Code == code {
			n++
		}
	}
	if n > 1 {
		c.Note("%d elements have the code %s: the step updates the oldest", n, code)
	}
	return found[0], nil
}

// ReadHolding reads the elements with given values that no rule has made.
func (l *List) ReadHolding(ctx context.Context, c *engine.Call, values []FieldValue) ([]*Record, error) {
	if !slices.ContainsFunc(values, func(v FieldValue) bool { return !v.Field.Empty(v.Value) }) {
		return nil, nil // otherwise all elements without values
	}
	all, err := l.readScope(ctx, c, values, false)
	return slices.DeleteFunc(all, func(r *Record) bool { return Made(r.Code) }), err
}

// ReadByCode reads the elements with given codes, the oldest of each code
// first. With immediate the calls go before those of others.
func (l *List) ReadByCode(ctx context.Context, c *engine.Call, codes []string, immediate bool) ([]*Record, error) {
	calls := make([]bitrix.Call, len(codes))
	for i, code := range codes {
		calls[i] = l.Call("lists.element.get", map[string]any{
			"ELEMENT_CODE": code, "ELEMENT_ORDER": map[string]any{"ID": "asc"},
		})
		calls[i].Immediate = immediate
	}
	var out []*Record
	for i, a := range c.Portal.Do(ctx, calls...) {
		raw, more, err := bitrix.FirstPage(calls[i].Method, a, "")
		if more {
			raw, err = c.Portal.List(ctx, calls[i], "")
		}
		if err != nil {
			return nil, err
		}
		elements, err := l.Schema.DecodeElements(raw)
		if err != nil {
			return nil, err
		}
		if err := l.LearnDates(ctx, c, elements); err != nil {
			return nil, err
		}
		for _, e := range elements {
			if e.Code == codes[i] {
				out = append(out, e)
			}
		}
	}
	return out, nil
}

// addCall adds an element under its code.
func (l *List) addCall(d Desired) bitrix.Call {
	return l.write("lists.element.add", map[string]any{"ELEMENT_CODE": d.Key, "FIELDS": addFields(d.Values)})
}

// updateCall updates an element. The code is always sent, because an update by
// ELEMENT_ID alone clears it. A new code adopts the element.
func (l *List) updateCall(r *Record, d Desired) bitrix.Call {
	call := l.write("lists.element.update", map[string]any{
		"ELEMENT_ID": r.ID, "ELEMENT_CODE": d.Key, "FIELDS": l.Schema.updateFields(r, d.Values),
	})
	call.Deadline = r.read.Add(maxAge)
	return call
}

// readBefore reads an element directly before its update. The answer shows what
// people wrote into it since r was read.
func (l *List) readBefore(r *Record, deadline time.Time) bitrix.Call {
	call := l.Call("lists.element.get", map[string]any{"ELEMENT_ID": r.ID})
	call.WithNext, call.Deadline = true, deadline
	return call
}

func (l *List) deleteCall(r *Record) bitrix.Call {
	return l.write("lists.element.delete", map[string]any{"ELEMENT_ID": r.ID})
}

// addedID reads the id from the answer of lists.element.add.
func addedID(a bitrix.Answer) (int, error) {
	v, err := formula.FromJSON(a.Result)
	n, ok := value.NumberOf(v)
	id, whole := n.Int64()
	if err != nil || !ok || !whole || id <= 0 {
		return 0, fmt.Errorf("lists.element.add was answered with %s instead of the id of the element", value.KindOf(v))
	}
	return int(id), nil
}

// maxAge is the largest age of values that an update may send back. People may
// write into the preserved columns while updates wait for the portal's limit.
const maxAge = 2 * time.Second

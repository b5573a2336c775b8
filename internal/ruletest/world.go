package ruletest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// baseURL is where the portal is said to be. Nothing is ever sent there.
const baseURL = "http://portal.test"

// world is a portal of its own with the client that runs talk to it through.
type portal struct {
	emulator *emulator.Portal
	path     string // where people call methods: the webhook's
	client   *bitrix.Client
	schema   *schema
	next     int // of the last listing
	// people are the parts of the portal's history that people made: from, to.
	people [][2]int
}

// newWorld makes a portal as it has been set up, without data.
func newPortal(spec *setup, s *schema) (*portal, error) {
	emulated, err := spec.build()
	if err != nil {
		return nil, err
	}
	emulated.SetBaseURL(baseURL)
	w := &portal{emulator: emulated, path: emulated.WebhookPath(), schema: s}
	w.client, err = bitrix.NewClient(bitrix.Config{
		Webhook: bitrix.Secret(baseURL + emulated.WebhookPath()), Plan: bitrix.PlanUnlimited, HTTP: httpClient(emulated),
	})
	if err != nil {
		emulated.Close()
		return nil, err
	}
	if s == nil {
		if w.schema, err = w.readSchema(spec); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

func (w *portal) close() {
	w.client.Close()
	w.emulator.Close()
}

// asPeople lets people do something, which is told apart from what runs do.
func (w *portal) asPeople(do func() error) error {
	from := len(w.emulator.History())
	err := do()
	w.people = append(w.people, [2]int{from, len(w.emulator.History())})
	return err
}

// order arranges product rows anew; nil leaves them.
type rowOrder func(rows []fields) []fields

// apply does what people did. Its errors are findings with places.
func (w *portal) apply(s *data, arrange rowOrder) error {
	return w.asPeople(func() error {
		items := s.byType()
		for _, typ := range slices.Sorted(maps.Keys(items)) {
			for _, x := range items[typ] {
				if err := w.applyEntity(typ, x, arrange); err != nil {
					return err
				}
			}
		}
		for _, ref := range sortedByNumber(s.Elements) {
			id, l, _ := w.schema.list(ref) // checked when the file is read
			for _, x := range s.Elements[ref] {
				if err := w.applyElement(id, l, x); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// misfit is a finding that only the portal could make.
func seedError(pos diag.Pos, err error) error {
	return &diag.Finding{Pos: pos, Code: "invalid-value", Message: "the portal does not take this: " + err.Error()}
}

func (w *portal) applyEntity(typ int, x item, arrange rowOrder) error {
	params := map[string]any{"entityTypeId": typ, "id": x.id}
	_, err := w.call("crm.item.get", params)
	exists := err == nil
	switch {
	case x.gone && !exists:
		return seedError(x.pos, fmt.Errorf("there is no such item to delete"))
	case x.gone:
		_, err := w.call("crm.item.delete", params)
		return wrapSeedError(x.pos, err)
	}
	params["fields"] = w.itemFields(typ, x.fields)
	if exists {
		_, err = w.call("crm.item.update", params)
	} else if err = w.emulator.NextItemID(typ, x.id); err == nil {
		_, err = w.call("crm.item.add", params)
	}
	if err != nil {
		return seedError(x.pos, err)
	}
	if !x.hasRows {
		return nil
	}
	return w.setRows(typ, x, arrange)
}

func wrapSeedError(pos diag.Pos, err error) error {
	if err == nil {
		return nil
	}
	return seedError(pos, err)
}

// setRows saves a product tab. Rows are added one by one: set would make one of
// two that are equal.
func (w *portal) setRows(typ int, x item, arrange rowOrder) error {
	short := schemas.OwnerByType(typ).Short
	if _, err := w.call("crm.item.productrow.set", map[string]any{"ownerType": short, "ownerId": x.id, "productRows": []any{}}); err != nil {
		return seedError(x.rowsPos, err)
	}
	rows := x.rows
	if arrange != nil {
		rows = arrange(rows)
	}
	for _, r := range rows {
		values := r.values()
		values["ownerType"], values["ownerId"] = short, x.id
		if _, err := w.call("crm.item.productrow.add", map[string]any{"fields": values}); err != nil {
			return seedError(x.rowsPos, err)
		}
	}
	return nil
}

// itemFields are the fields as the portal takes them: choices by their ids.
func (w *portal) itemFields(typ int, fs fields) map[string]any {
	out := map[string]any{}
	for _, f := range fs {
		c := w.schema.types[typ].find(f.name)
		out[c.name] = c.stored(f.value)
	}
	return out
}

// stored is a value as the portal takes it.
func (c *fieldInfo) stored(v any) any {
	if several, ok := v.([]any); ok {
		out := make([]any, len(several))
		for i, x := range several {
			out[i] = c.stored(x)
		}
		return out
	}
	if len(c.options) > 0 {
		if id, ok := c.optionID(text(v)); ok {
			return id
		}
	}
	if b, ok := v.(bool); ok {
		if b {
			return "Y"
		}
		return "N"
	}
	return v
}

func (w *portal) applyElement(id int, l *listType, x elementChange) error {
	if x.where == nil {
		return wrapSeedError(x.pos, w.addElement(id, l, x.set))
	}
	found, err := w.elements(id)
	if err != nil {
		return err
	}
	matched := false
	for _, e := range found {
		if !equal(canonical(l, x.where), e.values, false) {
			continue
		}
		matched = true
		params := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": id, "ELEMENT_ID": e.id}
		if x.delete {
			if _, err := w.call("lists.element.delete", params); err != nil {
				return seedError(x.pos, err)
			}
			continue
		}
		if err := w.changeElement(params, e, l, canonical(l, x.set)); err != nil {
			return seedError(x.pos, err)
		}
	}
	if !matched {
		return seedError(x.pos, fmt.Errorf("no element of list %s has these values", l.id))
	}
	return nil
}

// addElement adds an element as an older script or a person has made it: with
// an id and a code of its own when it is given none.
func (w *portal) addElement(id int, l *listType, fs fields) error {
	params := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": id, "ELEMENT_CODE": fmt.Sprintf("given-%d", len(w.emulator.History())+1)}
	values := map[string]any{}
	for _, f := range fs {
		switch f.name {
		case "ID":
			n, _ := number(f.value)
			i, _ := n.Int64()
			if err := w.emulator.NextElementID(i); err != nil {
				return err
			}
		case "CODE":
			params["ELEMENT_CODE"] = f.value
		default:
			c := l.find(f.name)
			values[c.name] = c.stored(f.value)
		}
	}
	params["FIELDS"] = values
	_, err := w.call("lists.element.add", params)
	return err
}

// changeElement writes an element as the list's form does: with all its fields,
// since the portal clears those that it is not given.
func (w *portal) changeElement(params map[string]any, e record, l *listType, set map[string]any) error {
	values := map[string]any{}
	for _, c := range l.columns {
		if v, ok := set[c.label()]; ok {
			values[c.name] = c.stored(v)
		} else if v, ok := e.values[c.label()]; ok && !c.readOnly {
			values[c.name] = c.stored(v)
		}
	}
	params["ELEMENT_CODE"], params["FIELDS"] = e.code, values
	_, err := w.call("lists.element.update", params)
	return err
}

// canonical names the fields of a list as snapshots do.
func canonical(l *listType, fs fields) map[string]any {
	out := map[string]any{}
	for _, f := range fs {
		label := f.name
		if c := l.find(f.name); c != nil {
			label = c.label()
		}
		out[label] = f.value
	}
	return out
}

func (w *portal) byPeople(i int) bool {
	return slices.ContainsFunc(w.people, func(p [2]int) bool { return p[0] <= i && i < p[1] })
}

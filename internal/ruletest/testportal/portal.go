package testportal

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/schemas"
)

// baseURL is the address of the portal. Requests to it stay in memory.
const baseURL = "http://portal.test"

// Portal is an emulated portal with a REST client for runs.
type Portal struct {
	Emulator *emulator.Portal
	path     string // path for REST calls of people: the webhook's
	Client   *bitrix.Client
	Schema   *Schema
	next     int  // position of the next page of the last listing
	isNew    bool // no item exists before the data
	// people are the ranges of the portal's history that people caused: from, to.
	people [][2]int
	// Now is the portal's clock. Zero is the time of the machine.
	Now time.Time
}

// NewPortal creates a portal with these settings and without data. If s is nil, it reads
// the schema from the portal.
func NewPortal(spec *Setup, s *Schema) (*Portal, error) {
	return newPortal(spec, s, emulator.Config{})
}

func newPortal(spec *Setup, s *Schema, cfg emulator.Config) (*Portal, error) {
	w := &Portal{Schema: s}
	cfg.Now = w.now
	emulated, err := spec.build(cfg)
	if err != nil {
		return nil, err
	}
	emulated.SetBaseURL(baseURL)
	w.Emulator, w.path = emulated, emulated.WebhookPath()
	w.Client, err = bitrix.NewClient(bitrix.Config{
		Webhook: bitrix.Secret(baseURL + emulated.WebhookPath()), Plan: bitrix.PlanUnlimited, HTTP: httpClient(emulated),
	})
	if err != nil {
		emulated.Close()
		return nil, err
	}
	if s == nil {
		if w.Schema, err = w.readSchema(spec); err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// now is the clock of the emulated portal.
func (w *Portal) now() time.Time {
	if w.Now.IsZero() {
		return time.Now()
	}
	return w.Now
}

func (w *Portal) Close() {
	w.Client.Close()
	w.Emulator.Close()
}

// AsPeople runs do and records its changes as changes of people, not of runs.
func (w *Portal) AsPeople(do func() error) error {
	from := len(w.Emulator.History())
	err := do()
	w.people = append(w.people, [2]int{from, len(w.Emulator.History())})
	return err
}

// RowOrder returns product rows in another order.
type RowOrder func(rows []Fields) []Fields

// Apply makes the changes of people. arrange reorders product rows; nil keeps their order.
// Its errors are findings with positions.
func (w *Portal) Apply(s *Data, arrange RowOrder) error {
	return w.AsPeople(func() error {
		for _, u := range s.Users {
			w.Emulator.AddUser(u)
		}
		items := s.ByType()
		for _, typ := range slices.Sorted(maps.Keys(items)) {
			for _, x := range items[typ] {
				if err := w.applyEntity(typ, x, arrange); err != nil {
					return err
				}
			}
		}
		for _, ref := range compare.SortedByNumber(s.Elements) {
			id, l, _ := w.Schema.List(ref) // checked when the file is read
			for _, x := range s.Elements[ref] {
				if err := w.applyElement(id, l, x); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// seedError is a finding for data that the portal refused.
func seedError(pos diag.Pos, err error) error {
	return &diag.Finding{Pos: pos, Code: "invalid-value", Message: "the portal refuses this: " + err.Error()}
}

func (w *Portal) applyEntity(typ int, x Item, arrange RowOrder) error {
	params := map[string]any{"entityTypeId": typ, "id": x.ID}
	var err error
	exists := false
	if !w.isNew {
		_, err := w.Call("crm.item.get", params)
		exists = err == nil
	}
	switch {
	case x.gone && !exists:
		return seedError(x.pos, fmt.Errorf("the item to delete does not exist"))
	case x.gone:
		_, err := w.Call("crm.item.delete", params)
		return WrapSeedError(x.pos, err)
	}
	params["fields"] = w.itemFields(typ, x.fields)
	if exists {
		_, err = w.Call("crm.item.update", params)
	} else if err = w.Emulator.NextItemID(typ, x.ID); err == nil {
		_, err = w.Call("crm.item.add", params)
	}
	if err != nil {
		return seedError(x.pos, err)
	}
	if !x.HasRows {
		return nil
	}
	return w.SetRows(typ, x, arrange)
}

func WrapSeedError(pos diag.Pos, err error) error {
	if err == nil {
		return nil
	}
	return seedError(pos, err)
}

// SetRows saves a product tab. It adds rows one by one, because productrow.set would merge
// two equal rows.
func (w *Portal) SetRows(typ int, x Item, arrange RowOrder) error {
	short := schemas.OwnerByType(typ).Short
	if _, err := w.Call("crm.item.productrow.set", map[string]any{"ownerType": short, "ownerId": x.ID, "productRows": []any{}}); err != nil {
		return seedError(x.rowsPos, err)
	}
	rows := x.Rows
	if arrange != nil {
		rows = arrange(rows)
	}
	for _, r := range rows {
		values := r.Values()
		values["ownerType"], values["ownerId"] = short, x.ID
		if _, err := w.Call("crm.item.productrow.add", map[string]any{"fields": values}); err != nil {
			return seedError(x.rowsPos, err)
		}
	}
	return nil
}

// itemFields returns the fields in the form that the portal accepts, list options by id.
func (w *Portal) itemFields(typ int, fs Fields) map[string]any {
	out := map[string]any{}
	for _, f := range fs {
		c := w.Schema.Types[typ].Find(f.Name)
		out[c.Name] = c.Stored(f.Value)
	}
	return out
}

// Stored returns a value in the form that the portal accepts.
func (c *FieldInfo) Stored(v any) any {
	if several, ok := v.([]any); ok {
		out := make([]any, len(several))
		for i, x := range several {
			out[i] = c.Stored(x)
		}
		return out
	}
	if len(c.Options) > 0 {
		if id, ok := c.optionID(compare.Text(v)); ok {
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

func (w *Portal) applyElement(id int, l *listType, x elementChange) error {
	if x.where == nil {
		return WrapSeedError(x.pos, w.addElement(id, l, x.set))
	}
	found, err := w.elements(id)
	if err != nil {
		return err
	}
	matched := false
	for _, e := range found {
		if !compare.Equal(canonical(l, x.where), e.Values, false) {
			continue
		}
		matched = true
		params := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": id, "ELEMENT_ID": e.ID}
		if x.delete {
			if _, err := w.Call("lists.element.delete", params); err != nil {
				return seedError(x.pos, err)
			}
			continue
		}
		if err := w.ChangeElement(params, e, l, canonical(l, x.set)); err != nil {
			return seedError(x.pos, err)
		}
	}
	if !matched {
		return seedError(x.pos, fmt.Errorf("no element of list %s has these values", l.id))
	}
	return nil
}

// addElement adds an element as an older script or a person would. Without CODE it gets a
// code that no rule creates.
func (w *Portal) addElement(id int, l *listType, fs Fields) error {
	params := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": id, "ELEMENT_CODE": fmt.Sprintf("given-%d", w.Emulator.Stats().Changes+1)}
	values := map[string]any{}
	for _, f := range fs {
		switch f.Name {
		case "ID":
			n, _ := compare.Number(f.Value)
			i, _ := n.Int64()
			if err := w.Emulator.NextElementID(i); err != nil {
				return err
			}
		case "CODE":
			params["ELEMENT_CODE"] = f.Value
		default:
			c := l.Find(f.Name)
			values[c.Name] = c.Stored(f.Value)
		}
	}
	params["FIELDS"] = values
	_, err := w.Call("lists.element.add", params)
	return err
}

// ChangeElement writes an element as the form of the list does: with all its fields,
// because the portal clears fields that are missing. Files that the form does not
// change are omitted: the portal keeps them, and their ids would be an error.
func (w *Portal) ChangeElement(params map[string]any, e Record, l *listType, set map[string]any) error {
	values := map[string]any{}
	for _, c := range l.Columns {
		if v, ok := set[c.Label()]; ok {
			values[c.Name] = c.Stored(v)
		} else if v, ok := e.Values[c.Label()]; ok && !c.ReadOnly && c.DataType != "F" {
			values[c.Name] = c.Stored(v)
		}
	}
	params["ELEMENT_CODE"], params["FIELDS"] = e.Code, values
	_, err := w.Call("lists.element.update", params)
	return err
}

// canonical returns values by the field labels of snapshots.
func canonical(l *listType, fs Fields) map[string]any {
	out := map[string]any{}
	for _, f := range fs {
		label := f.Name
		if c := l.Find(f.Name); c != nil {
			label = c.Label()
		}
		out[label] = f.Value
	}
	return out
}

func (w *Portal) ByPeople(i int) bool {
	return slices.ContainsFunc(w.people, func(p [2]int) bool { return p[0] <= i && i < p[1] })
}

package bitrix

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// metadataLife is how long descriptions of fields are believed.
const metadataLife = 5 * time.Minute

// metadata remembers what the portal says of its fields. Of several callers
// that want the same thing at once, one asks.
type metadata struct {
	mu      sync.Mutex
	entries map[string]*metaEntry
}

type metaEntry struct {
	ready chan struct{} // closed when value or err is set
	value any
	err   error
	at    time.Time
}

func newMetadata() *metadata { return &metadata{entries: map[string]*metaEntry{}} }

// get returns what load gave at most metadataLife ago. A failure is not
// remembered.
func (m *metadata) get(ctx context.Context, key string, load func() (any, error)) (any, error) {
	m.mu.Lock()
	e := m.entries[key]
	if e == nil || e.expired() {
		e = &metaEntry{ready: make(chan struct{})}
		m.entries[key] = e
		m.mu.Unlock()
		e.value, e.err = load()
		m.mu.Lock()
		e.at = time.Now()
		if e.err != nil && m.entries[key] == e {
			delete(m.entries, key)
		}
		m.mu.Unlock()
		close(e.ready)
		return e.value, e.err
	}
	m.mu.Unlock()
	select {
	case <-e.ready:
		return e.value, e.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// expired wants metadata.mu held. An entry that is being loaded is not.
func (e *metaEntry) expired() bool {
	select {
	case <-e.ready:
		return time.Since(e.at) > metadataLife
	default:
		return false
	}
}

// ListField describes a field or property of a universal list.
// Source: https://apidocs.bitrix24.com/api-reference/lists/fields/lists-field-get.html
type ListField struct {
	// ID is how elements name it: NAME, PROPERTY_101.
	ID string
	// Code is the symbolic code of a property, "" when it has none.
	Code string
	// Name is its title for people, in the portal's language.
	Name string
	// Type is S, N, L, F, E, S:Date, S:Money and so on, or the id itself for
	// system fields.
	Type     string
	Multiple bool
	Required bool
	// Enum maps the ids of a list property's options to their texts.
	Enum map[string]string
}

// IsProperty reports whether this is a property rather than a system field.
func (f ListField) IsProperty() bool { return strings.HasPrefix(f.ID, propertyPrefix) }

const propertyPrefix = "PROPERTY_"

// ListFields are the fields and properties of one universal list.
type ListFields struct {
	fields []ListField
	byName map[string][]int // any name in upper case -> indexes
}

// All returns all fields, ordered by id.
func (l *ListFields) All() []ListField { return slices.Clone(l.fields) }

// Names returns what the properties can be called: their codes where they have
// one, else their ids.
func (l *ListFields) Names() []string {
	var out []string
	for _, f := range l.fields {
		out = append(out, cmp.Or(f.Code, f.ID))
	}
	return out
}

// Lookup finds a field by its id, its code or its name, in this order and in
// any case. A name that several properties have is an error.
func (l *ListFields) Lookup(name string) (ListField, error) {
	found := l.byName[strings.ToUpper(name)]
	switch len(found) {
	case 0:
		return ListField{}, fmt.Errorf("the list has no field or property %q", name)
	case 1:
		return l.fields[found[0]], nil
	}
	for _, same := range []func(ListField) bool{
		func(f ListField) bool { return strings.EqualFold(f.ID, name) },
		func(f ListField) bool { return strings.EqualFold(f.Code, name) },
	} {
		for _, i := range found {
			if same(l.fields[i]) {
				return l.fields[i], nil
			}
		}
	}
	var ids []string
	for _, i := range found {
		ids = append(ids, l.fields[i].ID)
	}
	return ListField{}, fmt.Errorf("%q is the name of several properties (%s): use the id or a code", name, strings.Join(ids, ", "))
}

func newListFields(fields []ListField) *ListFields {
	slices.SortFunc(fields, func(a, b ListField) int { return strings.Compare(a.ID, b.ID) })
	l := &ListFields{fields: fields, byName: map[string][]int{}}
	for i, f := range fields {
		for _, name := range []string{f.ID, f.Code, f.Name} {
			key := strings.ToUpper(name)
			if name != "" && !slices.Contains(l.byName[key], i) {
				l.byName[key] = append(l.byName[key], i)
			}
		}
	}
	return l
}

// ListFields describes a universal list. The answer may be five minutes old.
func (c *Client) ListFields(ctx context.Context, iblockType string, iblockID int) (*ListFields, error) {
	v, err := c.meta.get(ctx, "list "+iblockType+" "+strconv.Itoa(iblockID), func() (any, error) {
		var raw json.RawMessage
		params := map[string]any{"IBLOCK_TYPE_ID": iblockType, "IBLOCK_ID": iblockID}
		if err := c.Call(ctx, "lists.field.get", params, &raw); err != nil {
			return nil, err
		}
		return decodeListFields(raw)
	})
	l, _ := v.(*ListFields)
	return l, err
}

func decodeListFields(raw json.RawMessage) (*ListFields, error) {
	m, err := looseMap(raw)
	if err != nil {
		return nil, badShape("lists.field.get", err)
	}
	var fields []ListField
	for _, key := range slices.Sorted(maps.Keys(m)) {
		var f struct {
			ID       string          `json:"FIELD_ID"`
			Code     json.RawMessage `json:"CODE"`
			Name     json.RawMessage `json:"NAME"`
			Type     json.RawMessage `json:"TYPE"`
			Multiple YesNo           `json:"MULTIPLE"`
			Required YesNo           `json:"IS_REQUIRED"`
			Enum     json.RawMessage `json:"DISPLAY_VALUES_FORM"`
		}
		if err := json.Unmarshal(m[key], &f); err != nil {
			return nil, badShape("lists.field.get", err)
		}
		out := ListField{
			ID: cmp.Or(f.ID, key), Code: looseText(f.Code), Name: looseText(f.Name), Type: looseText(f.Type),
			Multiple: bool(f.Multiple), Required: bool(f.Required),
		}
		if enum, err := looseMap(f.Enum); err == nil && len(enum) > 0 {
			out.Enum = map[string]string{}
			for id, text := range enum {
				out.Enum[id] = looseText(text)
			}
		}
		fields = append(fields, out)
	}
	return newListFields(fields), nil
}

// ItemField describes a field of a CRM type.
// Source: https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-fields.html
type ItemField struct {
	// Name is how crm.item.* names it: stageId, ufCrm5Total.
	Name string `json:"-"`
	// UpperName is its stored name: STAGE_ID, UF_CRM_5_TOTAL.
	UpperName string `json:"upperName"`
	Title     string `json:"title"`
	// Type is integer, double, string, boolean, date, datetime, money, user,
	// enumeration, crm_status and so on.
	Type     string `json:"type"`
	Required bool   `json:"isRequired"`
	ReadOnly bool   `json:"isReadOnly"`
	Multiple bool   `json:"isMultiple"`
	// Dynamic fields were defined by people.
	Dynamic bool `json:"isDynamic"`
}

// ItemFields are the fields of one CRM type.
type ItemFields struct {
	fields map[string]ItemField
}

// Lookup finds a field by the name that crm.item.* gives it.
func (f *ItemFields) Lookup(name string) (ItemField, bool) {
	x, ok := f.fields[name]
	return x, ok
}

// Names returns the names of all fields, sorted.
func (f *ItemFields) Names() []string { return slices.Sorted(maps.Keys(f.fields)) }

// ItemFields describes a CRM type. The answer may be five minutes old.
func (c *Client) ItemFields(ctx context.Context, entityTypeID int) (*ItemFields, error) {
	v, err := c.meta.get(ctx, "item "+strconv.Itoa(entityTypeID), func() (any, error) {
		var result struct {
			Fields json.RawMessage `json:"fields"`
		}
		if err := c.Call(ctx, "crm.item.fields", map[string]any{"entityTypeId": entityTypeID}, &result); err != nil {
			return nil, err
		}
		m, err := looseMap(result.Fields)
		if err != nil {
			return nil, badShape("crm.item.fields", err)
		}
		out := &ItemFields{fields: make(map[string]ItemField, len(m))}
		for name, raw := range m {
			f := ItemField{Name: name}
			if err := json.Unmarshal(raw, &f); err != nil {
				return nil, badShape("crm.item.fields", err)
			}
			out.fields[name] = f
		}
		return out, nil
	})
	f, _ := v.(*ItemFields)
	return f, err
}

package bitrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
)

// ItemField describes a field of a CRM type.
// Source: https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-fields.html
type ItemField struct {
	// Name is how crm.item.* names it: stageId, ufCrm5Total.
	Name string
	// UpperName is its stored name: STAGE_ID, UF_CRM_5_TOTAL.
	UpperName string
	// Title is what people see, in the portal's language.
	Title string
	// Type is integer, double, string, boolean, date, datetime, money, user,
	// enumeration, crm_status and so on.
	Type string
	// StatusType names the directory of a crm_status field.
	StatusType string
	Required   bool
	ReadOnly   bool
	// Immutable fields are set when the item is made and never again.
	Immutable bool
	Multiple  bool
	// Dynamic fields were defined by people.
	Dynamic bool
	// Precision is how many digits after the point a double of people's keeps, -1
	// when the portal does not say.
	Precision int
	// Enum maps the ids of an enumeration's options to their texts. Do not
	// change it: all callers share it.
	Enum map[string]string
}

// ItemFields are the fields of one CRM type.
type ItemFields struct {
	fields map[string]ItemField
	stored map[string]string // stored name -> name
}

// NewItemFields returns a description of a type with these fields.
func NewItemFields(fields []ItemField) *ItemFields {
	out := &ItemFields{fields: make(map[string]ItemField, len(fields)), stored: make(map[string]string, len(fields))}
	for _, f := range fields {
		out.add(f)
	}
	return out
}

func (f *ItemFields) add(x ItemField) {
	f.fields[x.Name] = x
	if x.UpperName != "" {
		f.stored[x.UpperName] = x.Name
	}
}

// Lookup finds a field by the name that crm.item.* gives it, or by its stored
// name.
func (f *ItemFields) Lookup(name string) (ItemField, bool) {
	x, ok := f.fields[name]
	if !ok {
		x, ok = f.fields[f.stored[name]]
	}
	return x, ok
}

// Names returns the names of all fields, sorted.
func (f *ItemFields) Names() []string { return slices.Sorted(maps.Keys(f.fields)) }

// ItemFields describes a CRM type. The answer may be as old as
// Config.MetadataLife.
func (c *Client) ItemFields(ctx context.Context, entityTypeID int) (*ItemFields, error) {
	v, err := c.meta.get(ctx, itemKey(entityTypeID), func() (any, error) {
		a := c.Do(ctx, itemFieldsCall(entityTypeID))[0]
		if a.Err != nil {
			return nil, a.Err
		}
		return decodeItemFields(a.Result)
	})
	f, _ := v.(*ItemFields)
	return f, err
}

// DescribeItems returns a call that describes a CRM type once more. ItemFields then
// returns this description. See DescribeList.
func DescribeItems(entityTypeID int) Call {
	call := itemFieldsCall(entityTypeID)
	call.Shared, call.describes = true, itemKey(entityTypeID)
	return call
}

func itemFieldsCall(entityTypeID int) Call {
	return Call{Method: methodItemFields, Params: map[string]any{"entityTypeId": entityTypeID}}
}

// itemKey is the key of the description of a CRM type.
func itemKey(entityTypeID int) string { return "item " + strconv.Itoa(entityTypeID) }

const methodItemFields = "crm.item.fields"

// decodeItemFields reads the description of a type, which has a field at least.
func decodeItemFields(result json.RawMessage) (*ItemFields, error) {
	outer, err := wire.Object(result)
	if err != nil {
		return nil, badRead(methodItemFields, err)
	}
	m, err := wire.Object(outer["fields"])
	if err == nil && len(m) == 0 {
		err = errors.New("no fields")
	}
	if err != nil {
		return nil, badRead(methodItemFields, fmt.Errorf("fields: %w", err))
	}
	out := NewItemFields(nil)
	for name, raw := range m {
		var f struct {
			UpperName, Title, Type, StatusType, Settings               json.RawMessage
			IsRequired, IsReadOnly, IsImmutable, IsMultiple, IsDynamic YesNo
			Items                                                      []struct{ ID, Value json.RawMessage }
		}
		if err := json.Unmarshal(raw, &f); err != nil {
			return nil, badRead(methodItemFields, fmt.Errorf("%s: %w", name, err))
		}
		digits, err := precision(f.Settings)
		if err == nil && wire.Text(f.Type) == "" {
			err = errors.New("no type")
		}
		if err != nil {
			return nil, badRead(methodItemFields, fmt.Errorf("%s: %w", name, err))
		}
		field := ItemField{
			Name: name, UpperName: wire.Text(f.UpperName), Title: wire.Text(f.Title), Type: wire.Text(f.Type), StatusType: wire.Text(f.StatusType),
			Required: bool(f.IsRequired), ReadOnly: bool(f.IsReadOnly), Immutable: bool(f.IsImmutable), Multiple: bool(f.IsMultiple), Dynamic: bool(f.IsDynamic),
			Precision: digits,
		}
		for _, item := range f.Items {
			if field.Enum == nil {
				field.Enum = map[string]string{}
			}
			id := wire.Text(item.ID)
			if id == "" {
				return nil, badRead(methodItemFields, fmt.Errorf("%s: an item has no id", name))
			}
			field.Enum[id] = wire.Text(item.Value)
		}
		out.add(field)
	}
	return out, nil
}

// maxPrecision is the largest that a portal's form takes.
const maxPrecision = 12

// precision reads the digits of a double from the settings of its field, which
// are an empty list where there are none. -1 means that the portal does not say.
func precision(settings json.RawMessage) (int, error) {
	m, err := wire.Map(settings)
	if err != nil {
		return 0, fmt.Errorf("settings: %w", err)
	}
	for _, name := range []string{"PRECISION", "precision"} {
		raw := m[name]
		text := wire.Text(raw)
		if text == "" && !wire.IsObject(raw) {
			continue
		}
		if n, err := strconv.Atoi(text); err == nil && n >= 0 && n <= maxPrecision {
			return n, nil
		}
		return 0, fmt.Errorf("settings: the precision is %.40s", raw)
	}
	return -1, nil
}

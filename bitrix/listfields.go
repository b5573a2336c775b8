package bitrix

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
)

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
	// Enum maps the ids of a list property's options to their texts. Do not
	// change it: all callers share it.
	Enum map[string]string
}

// IsProperty reports whether this is a property rather than a system field.
func (f ListField) IsProperty() bool { return strings.HasPrefix(f.ID, propertyPrefix) }

const propertyPrefix = "PROPERTY_"

// ListFields are the fields and properties of one universal list.
type ListFields struct {
	fields []ListField
	asked  time.Time
}

// Asked is when the portal was asked for them, zero for those of NewListFields.
func (l *ListFields) Asked() time.Time { return l.asked }

// NewListFields returns a description of a list with these fields.
func NewListFields(fields []ListField) *ListFields {
	fields = slices.Clone(fields)
	slices.SortFunc(fields, func(a, b ListField) int { return strings.Compare(a.ID, b.ID) })
	return &ListFields{fields: fields}
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
// any case. A code or a name that several properties have is an error.
func (l *ListFields) Lookup(name string) (ListField, error) {
	for _, called := range []func(ListField) string{
		func(f ListField) string { return f.ID },
		func(f ListField) string { return f.Code },
		func(f ListField) string { return f.Name },
	} {
		var found []ListField
		for _, f := range l.fields {
			if name != "" && strings.EqualFold(called(f), name) {
				found = append(found, f)
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		ids := make([]string, len(found))
		for i, f := range found {
			ids[i] = f.ID
		}
		return ListField{}, fmt.Errorf("%q is the name of several properties (%s): use the id", name, strings.Join(ids, ", "))
	}
	return ListField{}, fmt.Errorf("the list has no field or property %q", name)
}

// ListFields describes a universal list. The answer may be as old as
// Config.MetadataLife.
func (c *Client) ListFields(ctx context.Context, iblockType string, iblockID int) (*ListFields, error) {
	v, err := c.meta.get(ctx, listKey(iblockType, iblockID), func() (any, error) {
		asked := time.Now()
		a := c.Do(ctx, listFieldsCall(iblockType, iblockID))[0]
		if a.Err != nil {
			return nil, a.Err
		}
		return decodeListFields(a.Result, asked)
	})
	l, _ := v.(*ListFields)
	return l, err
}

// DescribeList returns a call that describes a list once more, for the end of a Do that
// writes elements. ListFields then returns this description. A portal ignores a property
// that it no longer has, so nothing else shows that its value is lost. Callers whose
// calls leave in one request share one command.
func DescribeList(iblockType string, iblockID int) Call {
	call := listFieldsCall(iblockType, iblockID)
	call.Shared, call.describes = true, listKey(iblockType, iblockID)
	return call
}

func listFieldsCall(iblockType string, iblockID int) Call {
	return Call{Method: methodListFields, Params: map[string]any{"IBLOCK_TYPE_ID": iblockType, "IBLOCK_ID": iblockID}}
}

// listKey is the key of the description of a list.
func listKey(iblockType string, iblockID int) string {
	return "list " + iblockType + " " + strconv.Itoa(iblockID)
}

// ListChanged returns when a universal list was made or changed, as the portal
// writes dates: 05/17/2023 04:09:23 pm. It shows how the portal orders the parts
// of a date, which an element with 03/04/2024 does not. "" is a list that the
// portal does not show. The answer may be as old as Config.MetadataLife.
// Source: https://apidocs.bitrix24.com/api-reference/lists/lists/lists-get.html
func (c *Client) ListChanged(ctx context.Context, iblockType string, iblockID int) (string, error) {
	v, err := c.meta.get(ctx, "changed "+iblockType+" "+strconv.Itoa(iblockID), func() (any, error) {
		call := Call{Method: "lists.get", Params: map[string]any{"IBLOCK_TYPE_ID": iblockType, "IBLOCK_ID": iblockID}}
		lists, err := DecodeRows(call.Method, c.Do(ctx, call)[0], "")
		if err != nil || len(lists) == 0 {
			return "", err
		}
		members, err := wire.Object(lists[0])
		if err != nil {
			return "", badRead(call.Method, err)
		}
		return wire.Text(members["TIMESTAMP_X"]), nil
	})
	text, _ := v.(string)
	return text, err
}

const methodListFields = "lists.field.get"

// decodeListFields reads the description of a list, which has a field at least.
func decodeListFields(raw json.RawMessage, asked time.Time) (*ListFields, error) {
	m, err := wire.Object(raw)
	if err == nil && len(m) == 0 {
		err = errors.New("no fields")
	}
	if err != nil {
		return nil, badRead(methodListFields, err)
	}
	var fields []ListField
	for _, key := range slices.Sorted(maps.Keys(m)) {
		var f struct {
			ID       json.RawMessage `json:"FIELD_ID"`
			Code     json.RawMessage `json:"CODE"`
			Name     json.RawMessage `json:"NAME"`
			Type     json.RawMessage `json:"TYPE"`
			Multiple YesNo           `json:"MULTIPLE"`
			Required YesNo           `json:"IS_REQUIRED"`
			Enum     json.RawMessage `json:"DISPLAY_VALUES_FORM"`
		}
		if err := json.Unmarshal(m[key], &f); err != nil {
			return nil, badRead(methodListFields, fmt.Errorf("%s: %w", key, err))
		}
		out := ListField{
			ID: cmp.Or(wire.Text(f.ID), key), Code: wire.Text(f.Code), Name: wire.Text(f.Name), Type: wire.Text(f.Type),
			Multiple: bool(f.Multiple), Required: bool(f.Required),
		}
		if out.Type == "" {
			return nil, badRead(methodListFields, fmt.Errorf("%s: no type", key))
		}
		enum, err := wire.Map(f.Enum)
		if err != nil {
			return nil, badRead(methodListFields, fmt.Errorf("%s: DISPLAY_VALUES_FORM: %w", key, err))
		}
		if len(enum) > 0 {
			out.Enum = map[string]string{}
			for id, text := range enum {
				out.Enum[id] = wire.Text(text)
			}
		}
		fields = append(fields, out)
	}
	l := NewListFields(fields)
	l.asked = asked
	return l, nil
}

package value

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/texts"
)

// multifieldTypes are the types of the entries of fm by the names of a rule.
// https://apidocs.bitrix24.com/api-reference/crm/data-types.html
var multifieldTypes = map[string]string{"phone": "PHONE", "email": "EMAIL", "web": "WEB", "im": "IM", "link": "LINK"}

// entry is a phone, an e-mail address, a site or a messenger of fm.
type entry struct{ id, typ, valueType, value string }

// Missing returns the entries of a desired fm that the stored one does not have. An
// entry with an id has to be stored under this id with this text. Any other one is
// stored if an entry of the type has the value in any spelling. Stored entries that are
// not named stay, so none of them is missing.
func Missing(stored, desired any) []any {
	have, _ := entriesOf(stored)
	want, _ := entriesOf(desired)
	var out []any
	for _, w := range want {
		if slices.ContainsFunc(have, w.isStoredAs) || w.id == "" && w.value == "" || w.value == "" && !slices.ContainsFunc(have, func(h entry) bool { return h.id == w.id }) {
			continue
		}
		have = append(have, w) // the same value is added once
		out = append(out, w.record())
	}
	return out
}

// Replacing returns a desired fm that also deletes the stored entries which it does not name, of
// the types that it names: {phone: []} deletes all phones and no e-mail address.
func Replacing(stored, desired any) any {
	have, _ := entriesOf(stored)
	want, _ := entriesOf(desired)
	types, out := typesOf(desired), []any{}
	kept := make([]bool, len(have))
	for _, w := range want {
		out = append(out, w.record())
		// An entry with an id is that stored entry, whatever its value is. Of several with the
		// same value the first one stays.
		if i := slices.IndexFunc(have, func(h entry) bool { return w.id != "" && w.id == h.id || w.id == "" && w.isStoredAs(h) }); i >= 0 {
			kept[i] = true
		}
	}
	for i, h := range have {
		if !kept[i] && types[h.typ] {
			out = append(out, entry{id: h.id, typ: h.typ}.record())
		}
	}
	return out
}

// typesOf returns the types that a desired fm names, also those without an entry.
func typesOf(desired any) map[string]bool {
	out := map[string]bool{}
	if named, isRecord := desired.(map[string]any); isRecord {
		for name := range named {
			out[multifieldTypes[strings.ToLower(name)]] = true
		}
	}
	entries, _ := entriesOf(desired)
	for _, e := range entries {
		out[e.typ] = true
	}
	return out
}

func (w entry) isStoredAs(h entry) bool {
	if w.id != "" {
		return h.id == w.id && h.value == w.value && (w.valueType == "" || h.valueType == w.valueType)
	}
	return h.typ == w.typ && h.spelling() == w.spelling()
}

// spelling is one text for all spellings of the value.
func (w entry) spelling() string {
	switch w.typ {
	case "PHONE":
		if number, ok := texts.Phone(w.value, "RU"); ok {
			return number // 8 900 and +7 900 are one number
		}
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' || r == '+' {
				return r
			}
			return -1
		}, w.value)
	case "EMAIL":
		return strings.ToLower(strings.TrimSpace(w.value))
	}
	return strings.TrimSpace(w.value)
}

// record is the entry as crm.item.* names its members.
func (w entry) record() map[string]any {
	out := map[string]any{"typeId": w.typ, "value": w.value}
	if w.valueType != "" {
		out["valueType"] = w.valueType
	}
	if w.id != "" {
		out["id"] = w.id
	}
	return out
}

// entriesOf reads fm: the list that a portal answers, or a record such as {phone:
// ["+79001112233"]}.
func entriesOf(v any) ([]entry, error) {
	var out []entry
	switch x := v.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(x)) {
			typ := multifieldTypes[strings.ToLower(name)]
			if typ == "" {
				return nil, fmt.Errorf("fm has no %q: use phone, email, web, im or link", name)
			}
			values, isList := x[name].([]any)
			if !isList {
				values = []any{x[name]}
			}
			for _, one := range values {
				e, err := entryOf(one, typ)
				if err != nil {
					return nil, err
				}
				out = append(out, e)
			}
		}
		return out, nil
	case []any:
		for _, one := range x {
			e, err := entryOf(one, "")
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		return out, nil
	}
	return nil, fmt.Errorf("fm takes a record such as {phone: [...], email: [...]} or the list of a portal, this is %s", Named(v))
}

// entryOf reads an entry: a record as the portal answers it, or with a type a text.
func entryOf(v any, typ string) (entry, error) {
	m, isRecord := v.(map[string]any)
	switch {
	case isRecord:
		e := entry{id: TextOf(m["id"]), typ: strings.ToUpper(TextOf(m["typeId"])), valueType: TextOf(m["valueType"]), value: TextOf(m["value"])}
		if typ != "" {
			e.typ = typ
		}
		if !slices.Contains(slices.Collect(maps.Values(multifieldTypes)), e.typ) {
			return e, fmt.Errorf("an entry of fm has the typeId %q: use PHONE, EMAIL, WEB, IM or LINK", e.typ)
		}
		return e, nil
	case typ == "":
		return entry{}, fmt.Errorf("an entry of fm is a record with typeId and value, this is %s", Named(v))
	}
	return entry{typ: typ, value: TextOf(v)}, nil
}

// checkMultifields reports why a value cannot be written into fm.
func checkMultifields(v any) error {
	if v == nil {
		return fmt.Errorf("fm cannot be cleared as a whole: write its entries with their id and an empty value")
	}
	entries, err := entriesOf(v)
	for _, e := range entries {
		switch {
		case e.value == "":
		case e.typ == "PHONE" && !isPhone(e):
			return fmt.Errorf("fm takes a phone number, this is %.60q", e.value)
		case e.typ == "EMAIL" && !strings.Contains(e.value, "@"):
			return fmt.Errorf("fm takes an e-mail address, %q has no @", e.value)
		}
	}
	return err
}

// isPhone reports whether a value can be a phone number: it starts as one, and has at least
// two digits, as an extension has. An entry of the portal, which has an id, may have words
// before the number.
func isPhone(e entry) bool {
	first, _ := utf8.DecodeRuneInString(strings.TrimSpace(e.value))
	if e.id == "" && !strings.ContainsRune("+(0123456789", first) {
		return false
	}
	return len(texts.Digits(e.value)) > 1
}

// NewMultifields is a desired fm as a parameter of crm.item.add.
func NewMultifields(v any) any {
	out := []any{}
	for _, e := range Missing(nil, v) {
		delete(e.(map[string]any), "id")
		out = append(out, e)
	}
	return out
}

// ChangedMultifields is what Missing returns as a parameter of crm.item.update: a map by
// the ids of entries. New entries have the keys n1, n2 and so on.
// https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-update.html
func ChangedMultifields(v any) any {
	entries, _ := entriesOf(v)
	out := map[string]any{}
	for i, e := range entries {
		key := e.id
		if key == "" {
			key = fmt.Sprintf("n%d", i+1)
		}
		r := e.record()
		delete(r, "id")
		out[key] = r
	}
	return out
}

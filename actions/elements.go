package actions

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
)

// listSchema is what is known of a list's fields and properties.
type listSchema struct {
	fields []*field
	byName map[string]*field // by the REST API's name
}

func newListSchema(fields []*field) *listSchema {
	s := &listSchema{fields: fields, byName: make(map[string]*field, len(fields))}
	for _, f := range fields {
		s.byName[f.name] = f
	}
	return s
}

// resolve finds a field by what a rule calls it: a property by its code, its
// name or as PROPERTY_n, a system field by its name.
func (s *listSchema) resolve(name string) (*field, error) {
	if f := s.byName[name]; f != nil {
		return f, nil
	}
	bare := strings.TrimPrefix(name, "PROPERTY_")
	for _, is := range []func(*field) bool{
		func(f *field) bool { return f.code != "" && (f.code == name || f.code == bare) },
		func(f *field) bool { return f.title == name },
		func(f *field) bool { return strings.EqualFold(f.code, name) || strings.EqualFold(f.name, name) },
	} {
		found := s.find(is)
		if len(found) > 1 {
			return nil, engine.ParkError("%d properties of the list are named %q: %s", len(found), name, names(found))
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	var known []string
	for _, f := range s.fields {
		known = append(known, f.name, f.code, f.title)
	}
	if near := diag.Closest(name, known); near != "" {
		return nil, engine.ParkError("the list has no property %q, did you mean %q?", name, near)
	}
	return nil, engine.ParkError("the list has no property %q, it has %s", name, names(s.fields))
}

func (s *listSchema) find(is func(*field) bool) []*field {
	var out []*field
	for _, f := range s.fields {
		if is(f) {
			out = append(out, f)
		}
	}
	return out
}

func names(fields []*field) string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.label()
	}
	return strings.Join(out, ", ")
}

// wishes resolves and checks named values. Two names of one property are an
// error: one of the values would be lost.
func (s *listSchema) wishes(fields engine.Fields) ([]wish, error) {
	out := make([]wish, 0, len(fields))
	for _, x := range fields {
		f, err := s.resolve(x.Name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(w wish) bool { return w.field == f }) {
			return nil, engine.ParkError("property %s is named twice", f.label())
		}
		if err := f.check(x.Value); err != nil {
			return nil, engine.ParkError("%w", err)
		}
		out = append(out, wish{f, x.Value})
	}
	return out, nil
}

// decodeElements reads the answer of lists.element.get.
func (s *listSchema) decodeElements(raw []json.RawMessage) ([]*Record, error) {
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
	// A page that shifted while the pages were read brings an element twice.
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
		return nil, fmt.Errorf("read a list element: want an object, got %s", shortKind(v))
	}
	id, ok := numberOf(m["ID"])
	n, whole := id.Int64()
	if !ok || !whole || n <= 0 {
		return nil, fmt.Errorf("read a list element: it has no ID")
	}
	e := &Record{ID: int(n), Code: textOf(m["CODE"]), Values: make(map[string]any, len(m)), valueIDs: make(map[string][]string, len(m))}
	for name, x := range m {
		if strings.HasPrefix(name, "PROPERTY_") {
			e.Values[name], e.valueIDs[name] = decodeProperty(x)
			continue
		}
		e.Values[name] = x
	}
	return e, nil
}

// decodeProperty reads {valueId: value}. Value ids grow, so their order is that
// of the values.
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

// codePrefix begins every ELEMENT_CODE that a rule made.
const codePrefix = "b24r-"

// ownCodes makes the codes of one owner's elements in one scope. The codes are
// what makes a repeated add harmless: a list refuses a code that it has.
type ownCodes struct{ prefix string }

// newOwnCodes takes the scope's properties by their PROPERTY_n, so that it does
// not matter what a rule file calls them.
func newOwnCodes(owner string, scope []wish) ownCodes {
	parts := make([]string, 0, len(scope))
	for _, w := range scope {
		parts = append(parts, w.field.name+"="+w.field.canonical(w.value))
	}
	slices.Sort(parts)
	return ownCodes{codePrefix + digest(append([]string{owner}, parts...), 6) + "-"}
}

// of returns the code of one key.
func (o ownCodes) of(key string) string { return o.prefix + digest([]string{key}, 8) }

// owns reports whether a code is one of these.
func (o ownCodes) owns(code string) bool { return strings.HasPrefix(code, o.prefix) }

// digest hashes parts so that no two lists of parts meet by their joints.
func digest(parts []string, bytes int) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:bytes])
}

// keyText writes a key down; nothing, lists and records identify nothing.
func keyText(v any) (string, error) {
	if n, ok := v.(num.Num); ok {
		return n.String(), nil
	}
	text, err := formula.ToText(v)
	if err != nil || text == "" {
		return "", fmt.Errorf("a key must be a number or text that is not empty")
	}
	return text, nil
}

package lists

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// keyed is a value of a property as a call gives it: under the id of an old
// value, or under any other key.
type keyed struct {
	key   string
	value any
}

// propertyInput flattens a property's value: a scalar, a list, a map of value
// ids, or the nested form {"n0": {"VALUE": …}}, of which the portal takes one
// level apart.
func propertyInput(v any) []keyed {
	a, ok := value.Array(v)
	if !ok {
		return []keyed{{"0", v}}
	}
	var values []keyed
	for key, x := range a.All() {
		inner, nested := value.Array(x)
		if !nested {
			values = append(values, keyed{key, x})
			continue
		}
		for k, y := range inner.All() {
			if k == "VALUE" {
				k = key
			}
			values = append(values, keyed{k, y})
		}
	}
	return values
}

// readProperty turns a call's value of a property into what is kept: values
// that are empty are not. A value under the id of an old one keeps this id.
func readProperty(s *model.Store, f *model.IBlockField, v any, old []model.PropertyValue) []model.PropertyValue {
	var values []model.PropertyValue
	for _, x := range propertyInput(v) {
		text, ok := propertyText(s, f, x.value)
		if !ok || text == "" {
			continue
		}
		v := model.PropertyValue{Text: text, Value: model.ComparableValue(s, f, text), HTML: f.Type == "S:HTML"}
		for _, o := range old {
			if strconv.FormatInt(o.ID, 10) == x.key {
				v.ID = o.ID
			}
		}
		values = append(values, v)
		if !f.Multiple {
			break // of several values a single property keeps the first
		}
	}
	for i := range values {
		if values[i].ID == 0 {
			values[i].ID = s.Next("propertyValue")
		}
	}
	return values
}

// propertyText is a property's value as the portal keeps it.
func propertyText(s *model.Store, f *model.IBlockField, v any) (text string, ok bool) {
	switch f.Type {
	case "N":
		return storedNumber(plainNumber(v))
	case "N:Sequence":
		if value.IsEmpty(v) {
			return strconv.FormatInt(s.Next("sequence "+f.Name), 10), true
		}
		return value.Text(v), true
	case "L":
		id := value.Int(v)
		for _, o := range f.Options {
			if o.ID == id {
				return strconv.FormatInt(id, 10), true
			}
		}
		return "", false
	case "S:Date":
		if t, ok := s.Zone.ParseDate(v); ok {
			return t.Format("2006-01-02"), true
		}
		return "", false
	case "S:DateTime":
		if t, ok := s.Zone.ParseTime(v); ok {
			return t.Format("2006-01-02 15:04:05"), true
		}
		return "", false
	case "E", "E:EList", "G", "S:employee", "S:DiskFile": // of files on the Drive the ids are kept
		if id := value.Int(v); id > 0 {
			return strconv.FormatInt(id, 10), true
		}
		return "", false
	}
	return value.Text(v), true
}

// plainNumber is a number's text with a point for a comma and without spaces.
func plainNumber(v any) string {
	return strings.ReplaceAll(strings.ReplaceAll(value.Text(v), ",", "."), " ", "")
}

// storedNumber is a number as the portal stores it: it goes through a float and is written
// with PHP's precision of 14 digits.
func storedNumber(text string) (string, bool) {
	if !value.IsNumeric(text) {
		return "", false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return "", false
	}
	return value.PHPFloat(n), true
}

// readFiles is what a property of files holds after a call: files stay, unless the
// field with the ending _DEL names their values, and new ones are added to them. Of
// a single one a new file takes the place. Only ids are kept of files.
// https://apidocs.bitrix24.com/api-reference/files/how-to-update-files.html
func readFiles(s *model.Store, f *model.IBlockField, g value.Fields, old []model.PropertyValue) []model.PropertyValue {
	drop, _ := value.Array(g[f.Name+"_DEL"])
	values := slices.DeleteFunc(slices.Clone(old), func(v model.PropertyValue) bool {
		mark, _ := drop.Get(strconv.FormatInt(v.ID, 10))
		return mark == "Y"
	})
	added, _ := newFiles(g[f.Name])
	for range added {
		text := strconv.FormatInt(s.Next("file"), 10)
		values = append(values, model.PropertyValue{ID: s.Next("propertyValue"), Text: text, Value: text})
	}
	if !f.Multiple && len(values) > 1 {
		values = values[len(values)-1:]
	}
	return values
}

// newFiles counts the files of a call: base64, a name with it, or several of either.
// An id of a file that is there is refused.
func newFiles(v any) (n int, byID bool) {
	if value.IsEmpty(v) {
		return 0, false
	}
	a, ok := value.Array(v)
	if !ok {
		return 1, value.IsNumeric(v)
	}
	if name, _ := a.Get("0"); a.Len() == 2 && a.IsList() && !value.IsNumeric(name) {
		if _, nested := value.Array(name); !nested { // ["name", "base64"]
			return 1, false
		}
	}
	for _, x := range a.All() {
		more, id := newFiles(x)
		n, byID = n+more, byID || id
	}
	return n, byID
}

// showProperty is a value as lists.element.get shows it.
func showProperty(s *model.Store, f *model.IBlockField, v model.PropertyValue) any {
	switch {
	case v.HTML:
		return value.Object("TYPE", "HTML", "TEXT", v.Text)
	case f.Type == "S:Date":
		return relayout(s.Zone, v.Text, s.Zone.LocalDay)
	case f.Type == "S:DateTime":
		return relayout(s.Zone, v.Text, s.Zone.Local)
	}
	return v.Text
}

func relayout(z value.Zone, text string, layout func(time.Time) string) string {
	t, ok := z.ParseTime(text)
	if !ok {
		return text
	}
	return layout(t)
}

// propertiesJSON adds an element's properties: {"PROPERTY_951": {"3743": …}}.
// A property without a value is not there.
func propertiesJSON(s *model.Store, into *php.Array, b *model.IBlock, e *model.Element, only map[string]bool) {
	for _, f := range b.Fields {
		values := e.Properties[f.ID]
		if !f.IsProperty() || len(values) == 0 || only != nil && !only[f.Name] {
			continue
		}
		shown := php.NewArray()
		for _, v := range values {
			shown.Set(strconv.FormatInt(v.ID, 10), showProperty(s, f, v))
		}
		into.Set(f.Name, shown)
	}
}

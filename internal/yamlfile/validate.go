package yamlfile

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-playground/validator/v10"
	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
)

// structs checks `validate` tags. It is set up once and safe for concurrent use.
var structs = newValidator()

func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(field reflect.StructField) string {
		name, _ := fieldName(field)
		return name
	})
	return v
}

// validate checks the tags of the fields of one struct and reports mistakes at their
// places. Structs below it were checked when they were decoded, and fields that did not
// decode were reported.
func (d *decoder) validate(s slot, v reflect.Value, given map[string]slot, wrong map[string]bool) {
	prefix := v.Type().Name() + "."
	err := structs.StructFiltered(v.Interface(), func(ns []byte) bool {
		return deeper(strings.TrimPrefix(string(ns), prefix))
	})
	var failed validator.ValidationErrors
	if !errors.As(err, &failed) {
		return
	}
	for _, fe := range failed {
		name, index := splitIndex(fe.Field())
		if wrong[name] {
			continue
		}
		at, ok := given[name]
		if !ok {
			d.missing(s, name, fe, v.Type())
			continue
		}
		if index != "" {
			at = d.item(at, index)
		}
		if message := refusal(fe, v.Type()); message != "" {
			d.errorf(at, "invalid-value", "%s", message).Hint = refusalHint(fe, at)
		}
	}
}

// deeper reports whether a namespace leads below a field; dots in the key of a
// map do not count.
func deeper(ns string) bool {
	depth := 0
	for _, r := range ns {
		switch r {
		case '[':
			depth++
		case ']':
			depth--
		case '.':
			if depth == 0 {
				return true
			}
		}
	}
	return false
}

func splitIndex(field string) (name, index string) {
	name, rest, found := strings.Cut(field, "[")
	if !found {
		return field, ""
	}
	return name, strings.TrimSuffix(rest, "]")
}

// item returns the slot of one entry of a list or mapping.
func (d *decoder) item(s slot, index string) slot {
	n := Resolve(s.node)
	if n == nil {
		return s
	}
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(index); err == nil && i >= 0 && i < len(n.Content) {
			return slot{node: n.Content[i]}
		}
		return s
	}
	if m, _ := d.f.Mapping(n); len(m.Entries) > 0 {
		if e, ok := m.Get(index); ok {
			return slot{key: e.Key, node: e.Value}
		}
	}
	return s
}

// missing reports a missing key, at the key of the mapping that lacks it. A rule that
// is not about presence does not apply to a missing key.
func (d *decoder) missing(s slot, name string, fe validator.FieldError, t reflect.Type) {
	if !strings.HasPrefix(fe.Tag(), "required") {
		return
	}
	at, within := slot{node: s.node}, ""
	if s.key != nil {
		at, within = slot{node: s.key}, fmt.Sprintf(" in %q", s.key.Value)
	}
	names, hint := strconv.Quote(name), ""
	others := yamlNames(t, fe.Param())
	switch fe.Tag() {
	case "required_without", "required_without_all":
		// When one of two keys is needed, each reports the other. In one order their
		// findings are
		// equal and become one.
		either := append(others, names)
		slices.Sort(either)
		names = strings.Join(either, " or ")
	case "required_with", "required_with_all":
		hint = "it is needed together with " + strings.Join(others, " and ")
	}
	finding := d.errorf(at, "missing-key", "missing key %s%s", names, within)
	if n := Resolve(at.node); n != nil && n != s.key {
		finding.EndLine, finding.EndColumn = 0, 0
	}
	finding.Hint = hint
}

// yamlNames turns the Go names in a tag's parameter into quoted keys.
func yamlNames(t reflect.Type, param string) (names []string) {
	for goName := range strings.FieldsSeq(param) {
		name := goName
		if field, ok := t.FieldByName(goName); ok {
			name, _ = fieldName(field)
		}
		names = append(names, strconv.Quote(name))
	}
	return names
}

// refusal returns the reason why a given value is invalid, or "" if it is valid.
func refusal(fe validator.FieldError, t reflect.Type) string {
	param := fe.Param()
	switch fe.Tag() {
	case "required", "required_with", "required_without", "required_if", "required_unless", "required_with_all", "required_without_all":
		switch fe.Kind() {
		case reflect.String, reflect.Slice, reflect.Map:
			return "must not be empty"
		case reflect.Pointer, reflect.Interface:
			return "needs a value"
		}
		return "" // 0 and false are values
	case "oneof", "oneofci":
		return fmt.Sprintf("%s is not allowed here", shown(fe))
	case "min", "gte":
		return "must be at least " + amount(fe)
	case "max", "lte":
		return "must be at most " + amount(fe)
	case "gt":
		return "must be more than " + amount(fe)
	case "lt":
		return "must be less than " + amount(fe)
	case "len", "eq":
		return "must be exactly " + amount(fe)
	case "ne":
		return "must not be " + param
	case "unique":
		return "an entry is listed twice"
	case "url", "http_url", "uri":
		return fmt.Sprintf("expected a URL, got %s", shown(fe))
	case "hostname_port":
		return fmt.Sprintf("expected host:port, got %s", shown(fe))
	case "startswith":
		return fmt.Sprintf("must start with %q", param)
	case "excluded_with", "excluded_with_all":
		return "cannot be used together with " + strings.Join(yamlNames(t, param), " and ")
	}
	if param == "" {
		return fmt.Sprintf("%s is not a valid %s", shown(fe), fe.Tag())
	}
	return fmt.Sprintf("%s is not a valid %s %s", shown(fe), fe.Tag(), param)
}

func shown(fe validator.FieldError) string {
	if fe.Kind() == reflect.String {
		return strconv.Quote(shorten(fmt.Sprint(fe.Value())))
	}
	return shorten(fmt.Sprint(fe.Value()))
}

// amount gives the limit its unit: characters of text, entries of lists.
func amount(fe validator.FieldError) string {
	switch fe.Kind() {
	case reflect.String:
		return plural(fe.Param(), "character", "characters")
	case reflect.Slice, reflect.Map:
		return plural(fe.Param(), "entry", "entries")
	}
	return fe.Param()
}

func plural(n, one, many string) string {
	if n == "1" {
		return n + " " + one
	}
	return n + " " + many
}

func refusalHint(fe validator.FieldError, at slot) string {
	if fe.Tag() != "oneof" && fe.Tag() != "oneofci" {
		return ""
	}
	options := strings.Fields(fe.Param())
	if n := Resolve(at.node); n != nil && n.Kind == yaml.ScalarNode {
		if near := diag.Closest(n.Value, options); near != "" {
			return fmt.Sprintf("did you mean %q?", near)
		}
	}
	return "use one of " + strings.Join(options, ", ")
}

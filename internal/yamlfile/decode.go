package yamlfile

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
)

// NodeUnmarshaler is implemented by types that decode themselves from a node,
// because they take more than one form or keep places. Decode does not look
// into the result: such a type checks itself.
type NodeUnmarshaler interface {
	UnmarshalNode(f *File, n *yaml.Node) diag.List
}

// Decode reads a node into the value that into points to. It reports all mistakes: unknown
// keys, missing keys, values of a wrong type, and values that a `validate` tag refuses.
//
// The `yaml` tag of a field names its key. Without a tag, the key is the field's name in
// lower case; "-" skips the field; ",inline" takes the keys of a struct, or puts all other
// keys into a map. The type of the field decides how the text of a scalar is read, so 007
// is a valid string. The types are string, bool, numbers, time.Duration ("2s"), structs,
// slices, map[string]T, pointers, any, yaml.Node, encoding.TextUnmarshaler and
// NodeUnmarshaler. A key without a value is an empty struct, list or mapping, or a nil
// pointer to another type.
//
// `validate` tags are those of go-playground/validator. required means that the key
// exists and that text, a list or a mapping is not empty; a given 0 or false is a
// value.
//
// A nil node is read as an empty mapping. Decode panics if into is not a pointer or has
// a type that Decode does not support: both are mistakes in the program.
func Decode(f *File, n *yaml.Node, into any) diag.List {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic(fmt.Sprintf("yamlfile: Decode needs a pointer, got %T", into))
	}
	d := decoder{f: f}
	d.value(slot{node: n}, v.Elem())
	d.list.Sort()
	return d.list
}

type decoder struct {
	f    *File
	list diag.List
}

// slot is a value in the file with its key, if any.
type slot struct {
	key  *yaml.Node
	node *yaml.Node
}

var (
	nodeType     = reflect.TypeFor[yaml.Node]()
	durationType = reflect.TypeFor[time.Duration]()
)

// value decodes a slot and reports whether it had no mistakes.
func (d *decoder) value(s slot, v reflect.Value) bool {
	before := len(d.list)
	n := Resolve(s.node)
	switch u := v.Addr().Interface().(type) {
	case NodeUnmarshaler:
		if v.Kind() != reflect.Pointer {
			d.list.Add(u.UnmarshalNode(d.f, s.node)...)
			return len(d.list) == before
		}
	case encoding.TextUnmarshaler:
		if v.Kind() != reflect.Pointer {
			d.text(s, n, u)
			return len(d.list) == before
		}
	}
	switch {
	case v.Type() == nodeType:
		if n != nil {
			v.Set(reflect.ValueOf(*n))
		}
	case v.Kind() == reflect.Pointer:
		d.pointer(s, n, v)
	case v.Kind() == reflect.Interface && v.NumMethod() == 0:
		if x := d.untyped(s); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	case v.Kind() == reflect.Struct:
		d.structure(s, n, v)
	case v.Kind() == reflect.Slice:
		d.slice(s, n, v)
	case v.Kind() == reflect.Map:
		d.dictionary(s, n, v)
	default:
		d.scalar(s, n, v)
	}
	return len(d.list) == before
}

// errorf reports a mistake in a value. For an alias, the place is that of the anchored
// value, and the message names the alias.
func (d *decoder) errorf(s slot, code, format string, args ...any) *diag.Finding {
	message := fmt.Sprintf(format, args...)
	n := Resolve(s.node)
	if s.node != nil && s.node.Kind == yaml.AliasNode {
		message += fmt.Sprintf(", used as *%s on line %d", s.node.Value, d.f.Pos(s.node).Line)
	}
	at, end := d.f.extent(n)
	if n == nil && s.key != nil {
		at, end = d.f.extent(Resolve(s.key))
	}
	finding := d.list.Errorf(at, code, "%s", message)
	finding.EndLine, finding.EndColumn = end.Line, end.Column
	return finding
}

// extent returns the places of the start and the end of a scalar, and of the start only of
// other nodes.
func (f *File) extent(n *yaml.Node) (start, end diag.Pos) {
	if cells := f.cells(n); len(cells) > 0 {
		return f.pos(cells[0].from), f.pos(cells[len(cells)-1].to)
	}
	return f.Pos(n), diag.Pos{}
}

func isNull(n *yaml.Node) bool {
	return n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

func (d *decoder) pointer(s slot, n *yaml.Node, v reflect.Value) {
	switch {
	case v.Type().Elem() == nodeType: // keep aliases, because findings need their places
		v.Set(reflect.ValueOf(s.node))
	case isNull(n) && v.Type().Elem().Kind() != reflect.Struct:
		v.SetZero()
	default:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(s, v.Elem())
	}
}

func (d *decoder) slice(s slot, n *yaml.Node, v reflect.Value) {
	if isNull(n) {
		v.SetZero()
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.errorf(s, "wrong-type", "expected a list, got %s", describe(n)).Hint = listHint(n)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(slot{node: item}, list.Index(i))
	}
	v.Set(list)
}

func listHint(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return "write [" + shorten(n.Value) + "]"
	}
	return `start each entry with "- "`
}

func (d *decoder) dictionary(s slot, n *yaml.Node, v reflect.Value) {
	if v.Type().Key().Kind() != reflect.String {
		panic(fmt.Sprintf("yamlfile: cannot decode into %s: its keys must be strings", v.Type()))
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range d.entries(s, n) {
		d.put(v, e)
	}
}

func (d *decoder) put(m reflect.Value, e Entry) {
	item := reflect.New(m.Type().Elem()).Elem()
	if d.value(slot{key: e.Key, node: e.Value}, item) {
		m.SetMapIndex(reflect.ValueOf(e.Name).Convert(m.Type().Key()), item)
	}
}

// entries returns the entries of a mapping; an empty value is an empty mapping.
func (d *decoder) entries(s slot, n *yaml.Node) []Entry {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		d.errorf(s, "wrong-type", "expected a mapping, got %s", describe(n))
		return nil
	}
	m, _ := d.f.Mapping(n)
	return m.Entries
}

// structure decodes a mapping into a struct and validates it.
func (d *decoder) structure(s slot, n *yaml.Node, v reflect.Value) {
	if !isNull(n) && n.Kind != yaml.MappingNode {
		d.errorf(s, "wrong-type", "expected a mapping, got %s", describe(n))
		return
	}
	fields := fieldsOf(v)
	given := map[string]slot{}
	wrong := map[string]bool{}
	for _, e := range d.entries(s, n) {
		target, known := fields.byName[e.Name]
		switch {
		case known:
			given[e.Name] = slot{key: e.Key, node: e.Value}
			wrong[e.Name] = !d.value(given[e.Name], target)
		case fields.rest.IsValid():
			if fields.rest.IsNil() {
				fields.rest.Set(reflect.MakeMap(fields.rest.Type()))
			}
			d.put(fields.rest, e)
		default:
			d.unknown(e, fields.names)
		}
	}
	for _, part := range fields.parts {
		d.validate(s, part, given, wrong)
	}
}

func (d *decoder) unknown(e Entry, names []string) {
	finding := d.errorf(slot{node: e.Key}, "unknown-key", "unknown key %q", e.Name)
	switch near := diag.Closest(e.Name, names); {
	case near != "":
		finding.Hint = fmt.Sprintf("did you mean %q?", near) + diag.Lookalike(e.Name, near)
	case len(names) == 0:
		finding.Hint = "no keys are allowed here"
	case len(names) <= 8:
		finding.Hint = "use one of " + strings.Join(names, ", ")
	default:
		finding.Hint = "use one of " + strings.Join(names[:8], ", ") + " …"
	}
}

// structFields are the fields of a struct and of what is inlined in it.
type structFields struct {
	byName map[string]reflect.Value
	names  []string        // in the order of the struct
	rest   reflect.Value   // the inlined map, if any
	parts  []reflect.Value // the struct itself and the inlined ones
}

func fieldsOf(v reflect.Value) *structFields {
	fields := &structFields{byName: map[string]reflect.Value{}}
	fields.collect(v)
	return fields
}

func (sf *structFields) collect(v reflect.Value) {
	sf.parts = append(sf.parts, v)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, inline := fieldName(field)
		switch {
		case name == "-" || !field.IsExported():
		case inline && field.Type.Kind() == reflect.Struct:
			sf.collect(v.Field(i))
		case inline:
			sf.rest = v.Field(i)
		default:
			sf.byName[name] = v.Field(i)
			sf.names = append(sf.names, name)
		}
	}
}

// fieldName returns the key of a struct's field, as yaml.v3 would.
func fieldName(field reflect.StructField) (name string, inline bool) {
	name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
	if name == "" {
		name = strings.ToLower(field.Name)
	}
	return name, strings.Contains(","+options+",", ",inline,")
}

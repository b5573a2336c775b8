package engine

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/go-playground/validator/v10"
)

// ArgKind says how an argument is compiled and bound.
type ArgKind uint8

// The kinds of arguments.
const (
	ArgValue       ArgKind = iota // a value, computed once and converted to the field's Go type
	ArgDuration                   // literal text such as 2s
	ArgFields                     // names and values, computed once
	ArgNames                      // names that the argument defines, computed by the action
	ArgRowValue                   // a value, computed for each row
	ArgRowFields                  // names and values, computed for each row
	ArgSecrets                    // names and texts that may hold secrets
	ArgURL                        // address of a request, computed once
	ArgSecretURL                  // address of a request that may hold secrets
	ArgSecretValue                // a value, computed once, whose texts may hold secrets
)

// ArgField is one argument of an action, as its struct describes it.
type ArgField struct {
	Arg
	Index    int // of the struct's field; -1 when the struct itself is the value
	Kind     ArgKind
	Takes    formula.Type // type that the value must have
	GroupKey string       // argument that gives group.key; "" when this one is computed for rows
}

// ArgStruct describes the arguments of an action.
type ArgStruct struct {
	Type   reflect.Type
	Fields []*ArgField
}

var (
	typeNum       = reflect.TypeFor[num.Num]()
	typeDuration  = reflect.TypeFor[time.Duration]()
	typeFields    = reflect.TypeFor[Fields]()
	typeNames     = reflect.TypeFor[Names]()
	typeRowValue  = reflect.TypeFor[RowValue]()
	typeRowFields = reflect.TypeFor[RowFields]()
	typeSecrets   = reflect.TypeFor[SecretFields]()
	typeURL       = reflect.TypeFor[URL]()

	typeSecretURL    = reflect.TypeFor[SecretURL]()
	typeSecretValue  = reflect.TypeFor[SecretValue]()
	typeSecretRecord = reflect.TypeFor[SecretRecord]()
)

// describeArgs reads the tags of an argument struct.
func describeArgs(t reflect.Type) (*ArgStruct, error) {
	out := &ArgStruct{Type: t}
	if t == typeNames {
		out.Fields = []*ArgField{{Arg: Arg{Type: t, Required: true}, Index: -1, Kind: ArgNames}}
		return out, nil
	}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("arguments must be a struct, not %s", t)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		if name == "" || !f.IsExported() {
			return nil, fmt.Errorf("field %s must be exported and have a yaml tag", f.Name)
		}
		a := &ArgField{Index: i, Arg: Arg{Name: name, Doc: f.Tag.Get("doc"), Example: f.Tag.Get("example"), Default: f.Tag.Get("default"), Type: f.Type, PerRow: f.Tag.Get("rows")}}
		if a.Doc == "" {
			return nil, fmt.Errorf("field %s must have a doc tag", f.Name)
		}
		a.Required, a.Rules = splitRules(f.Tag.Get("validate"))
		a.PerRow, a.GroupKey, _ = strings.Cut(cmp.Or(f.Tag.Get("group"), a.PerRow), ",")
		if f.Tag.Get("group") != "" && a.GroupKey == "" {
			return nil, fmt.Errorf("the group tag of field %s must name the list and the key: rows,by", f.Name)
		}
		var err error
		if a.Kind, a.Takes, err = argType(f.Type); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		if perRow := a.Kind == ArgRowValue || a.Kind == ArgRowFields; perRow && a.PerRow == "" {
			return nil, fmt.Errorf("field %s must have a rows tag that names the list", f.Name)
		}
		out.Fields = append(out.Fields, a)
	}
	return out, nil
}

// suggest stores the values that an editor offers for arguments.
func (s *ArgStruct) suggest(values map[string]func() []Suggestion) error {
	for name, list := range values {
		i := slices.IndexFunc(s.Fields, func(f *ArgField) bool { return f.Name == name })
		if i < 0 {
			return fmt.Errorf("field Suggest names the argument %s, which does not exist", name)
		}
		s.Fields[i].Suggest = list
	}
	return nil
}

// checkPrefetch checks that the arguments of PrefetchArgs and PrefetchNames exist.
func (s *ArgStruct) checkPrefetch(whole, names []string) error {
	for _, name := range slices.Concat(whole, names) {
		i := slices.IndexFunc(s.Fields, func(f *ArgField) bool { return f.Name == name })
		switch {
		case i < 0:
			return fmt.Errorf("field PrefetchArgs or PrefetchNames names the argument %s, which does not exist", name)
		case slices.Contains(names, name) && s.Fields[i].Kind != ArgFields:
			return fmt.Errorf("field PrefetchNames names the argument %s, which is not of type Fields", name)
		}
	}
	return nil
}

// splitRules separates "required" from the other rules of a validate tag.
func splitRules(tag string) (required bool, rest string) {
	var keep []string
	for r := range strings.SplitSeq(tag, ",") {
		switch r {
		case "required":
			required = true
		case "", "omitempty":
		default:
			keep = append(keep, r)
		}
	}
	return required, strings.Join(keep, ",")
}

// argType returns how a Go type is bound and which type its value must have.
func argType(t reflect.Type) (ArgKind, formula.Type, error) {
	switch t {
	case typeDuration:
		return ArgDuration, formula.Type{}, nil
	case typeFields:
		return ArgFields, formula.Type{Kind: formula.Any}, nil
	case typeNames:
		return ArgNames, formula.Type{Kind: formula.Any}, nil
	case typeRowValue:
		return ArgRowValue, formula.Type{Kind: formula.Any}, nil
	case typeRowFields:
		return ArgRowFields, formula.Type{Kind: formula.Any}, nil
	case typeSecrets:
		return ArgSecrets, formula.Type{Kind: formula.Any}, nil
	case typeURL:
		return ArgURL, formula.Type{Kind: formula.String}, nil
	case typeSecretURL:
		return ArgSecretURL, formula.Type{Kind: formula.String}, nil
	case typeSecretValue:
		return ArgSecretValue, formula.Type{Kind: formula.Any}, nil
	case typeSecretRecord:
		return ArgSecretValue, formula.OpenRecord(nil), nil
	}
	vt, err := valueType(t)
	return ArgValue, vt, err
}

// valueType is the formula type that fits a Go type.
func valueType(t reflect.Type) (formula.Type, error) {
	if t == typeNum {
		return formula.Type{Kind: formula.Number}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return formula.Type{Kind: formula.String}, nil
	case reflect.Bool:
		return formula.Type{Kind: formula.Bool}, nil
	case reflect.Int:
		return formula.Type{Kind: formula.Int}, nil
	case reflect.Interface:
		return formula.Type{Kind: formula.Any}, nil
	case reflect.Pointer:
		return valueType(t.Elem())
	case reflect.Map:
		if t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.Interface {
			return formula.OpenRecord(nil), nil
		}
	case reflect.Slice:
		elem, err := valueType(t.Elem())
		if err != nil {
			return formula.Type{}, err
		}
		return formula.ListOf(elem), nil
	}
	return formula.Type{}, fmt.Errorf("a rule file has no values of type %s", t)
}

// convert turns a formula's value into a Go value of type t.
func convert(v any, t reflect.Type) (reflect.Value, error) {
	if t.Kind() == reflect.Pointer {
		if v == nil {
			return reflect.Zero(t), nil
		}
		x, err := convert(v, t.Elem())
		if err != nil {
			return reflect.Value{}, err
		}
		p := reflect.New(t.Elem())
		p.Elem().Set(x)
		return p, nil
	}
	if t.Kind() == reflect.Interface {
		if v == nil {
			return reflect.Zero(t), nil
		}
		return reflect.ValueOf(v), nil
	}
	switch x := v.(type) {
	case num.Num:
		if t == typeNum {
			return reflect.ValueOf(x), nil
		}
		if i, ok := x.Int64(); ok && t.Kind() == reflect.Int {
			return reflect.ValueOf(int(i)).Convert(t), nil
		}
		if t.Kind() == reflect.Int {
			return reflect.Value{}, fmt.Errorf("%s is not a whole number", x)
		}
	case string:
		if t.Kind() == reflect.String {
			return reflect.ValueOf(x).Convert(t), nil
		}
		// The portal's older methods return ids as text.
		if i, err := num.Parse(x); err == nil && (t.Kind() == reflect.Int || t == typeNum) {
			return convert(i, t)
		}
	case bool:
		if t.Kind() == reflect.Bool {
			return reflect.ValueOf(x), nil
		}
	case map[string]any:
		if t.Kind() == reflect.Map {
			return reflect.ValueOf(x), nil
		}
	case []any:
		if t.Kind() == reflect.Slice {
			return convertList(x, t)
		}
	}
	return reflect.Value{}, fmt.Errorf("the value is %s, not %s", KindOf(v), goTypeName(t))
}

func convertList(xs []any, t reflect.Type) (reflect.Value, error) {
	out := reflect.MakeSlice(t, 0, len(xs))
	for i, x := range xs {
		v, err := convert(x, t.Elem())
		if err != nil {
			return reflect.Value{}, fmt.Errorf("element %d: %w", i+1, err)
		}
		if x == nil {
			v = reflect.Zero(t.Elem())
		}
		out = reflect.Append(out, v)
	}
	return out, nil
}

func goTypeName(t reflect.Type) string {
	vt, err := valueType(t)
	if err != nil {
		return t.String()
	}
	return vt.String()
}

// KindOf names the kind of a value of a run. It never shows the data.
func KindOf(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case bool:
		return "true or false"
	case num.Num:
		return "a number"
	case string:
		return "text"
	case time.Time:
		return "a time"
	case []any:
		return "a list"
	case map[string]any:
		return "a record"
	}
	if v == formula.Omitted {
		return "omit"
	}
	return fmt.Sprintf("%T", v)
}

// Names lists the names of the arguments.
func (a *ArgStruct) Names() []string {
	out := make([]string, len(a.Fields))
	for i, f := range a.Fields {
		out[i] = f.Name
	}
	return out
}

// validate is safe for concurrent use. It holds nothing but a cache.
var validate = validator.New()

// Convert turns a formula's value into the Go value of the argument.
func (f *ArgField) Convert(v any) (reflect.Value, error) { return convert(v, f.Type) }

// Broken says which validator rule a value breaks. The phrase is empty when it breaks
// none.
func (f *ArgField) Broken(v reflect.Value) diag.Phrase {
	if f.Rules == "" {
		return diag.Phrase{}
	}
	if err := validate.Var(v.Interface(), f.Rules); err != nil {
		return ruleText(err)
	}
	return diag.Phrase{}
}

// ruleText describes the first broken validator rule.
func ruleText(err error) diag.Phrase {
	var list validator.ValidationErrors
	if !errors.As(err, &list) || len(list) == 0 {
		return diag.Phrasef("%s", err)
	}
	switch f := list[0]; f.Tag() {
	case "oneof":
		return diag.Phrasef("must be one of %s, not %q", strings.Join(strings.Fields(f.Param()), ", "), f.Value())
	case "min", "gte":
		return diag.Phrasef("must be at least %s", f.Param())
	case "max", "lte":
		return diag.Phrasef("must be at most %s", f.Param())
	default:
		return diag.Phrasef("breaks the rule %s %s", f.Tag(), f.Param())
	}
}

// OneOf lists the words that the argument takes, nil when it takes other values.
func (a Arg) OneOf() []string {
	for rule := range strings.SplitSeq(a.Rules, ",") {
		if list, ok := strings.CutPrefix(rule, "oneof="); ok {
			return strings.Fields(list)
		}
	}
	return nil
}

// checkSays checks that the braces of a Says text name arguments.
func (a *ArgStruct) checkSays(says string) error {
	names := a.Names()
	for rest := says; ; {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			return nil
		}
		var hole string
		hole, rest, _ = strings.Cut(after, "}")
		for alternative := range strings.SplitSeq(hole, "|") {
			name := alternative[strings.Index(alternative, "@")+1:]
			if !slices.Contains(names, name) {
				return fmt.Errorf("field Says has {%s}, but no argument is called %q", hole, name)
			}
		}
	}
}

// IsNames reports whether the value of the action is a mapping of names, such as that
// of compute.
func (a *ArgStruct) IsNames() bool { return a.Type == typeNames }

package lint_test

import (
	"reflect"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// TestSummaryHoldsNoSet: with the summaries of thousands of files in memory, nothing of a
// compiled file may stay there but a formula that a check evaluates.
func TestSummaryHoldsNoSet(t *testing.T) {
	shared := map[reflect.Type]bool{reflect.TypeFor[engine.Action](): true, reflect.TypeFor[formula.Formula](): true}
	heavy := map[reflect.Type]bool{
		reflect.TypeFor[engine.RuleSet](): true, reflect.TypeFor[engine.Rule](): true, reflect.TypeFor[engine.Step](): true,
		reflect.TypeFor[engine.Argument](): true, reflect.TypeFor[engine.Value](): true, reflect.TypeFor[engine.Trigger](): true,
		reflect.TypeFor[yaml.Node](): true, reflect.TypeFor[yamlfile.File](): true,
	}
	seen := map[reflect.Type]bool{}
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		if heavy[typ] {
			t.Errorf("%s holds %s", path, typ)
		}
		if heavy[typ] || shared[typ] || seen[typ] {
			return
		}
		seen[typ] = true
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			walk(typ.Elem(), path)
		case reflect.Map:
			walk(typ.Key(), path)
			walk(typ.Elem(), path)
		case reflect.Struct:
			for i := range typ.NumField() {
				walk(typ.Field(i).Type, path+"."+typ.Field(i).Name)
			}
		case reflect.Func:
			t.Errorf("%s is a function, which may hold anything", path)
		}
	}
	walk(reflect.TypeFor[lint.Summary](), "Summary")
}

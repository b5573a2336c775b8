package yamlfile

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

func (d *decoder) text(s slot, n *yaml.Node, u encoding.TextUnmarshaler) {
	if n == nil || n.Kind != yaml.ScalarNode || isNull(n) {
		d.errorf(s, "wrong-type", "expected one value, got %s", describe(n))
		return
	}
	if err := u.UnmarshalText([]byte(n.Value)); err != nil {
		d.errorf(s, "invalid-value", "%s", err)
	}
}

// scalar reads text, a truth value, a number or a duration.
func (d *decoder) scalar(s slot, n *yaml.Node, v reflect.Value) {
	if n == nil || n.Kind != yaml.ScalarNode || isNull(n) {
		d.errorf(s, "wrong-type", "expected %s, got %s", typeName(v.Type()), describe(n))
		return
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(n.Value)
	case v.Kind() == reflect.Bool:
		d.boolean(s, n, v)
	case v.Type() == durationType:
		d.duration(s, n, v)
	case v.CanInt():
		i, err := strconv.ParseInt(n.Value, 10, v.Type().Bits())
		if d.number(s, n, v, err) {
			v.SetInt(i)
		}
	case v.CanUint():
		i, err := strconv.ParseUint(n.Value, 10, v.Type().Bits())
		if d.number(s, n, v, err) {
			v.SetUint(i)
		}
	case v.CanFloat():
		x, err := strconv.ParseFloat(n.Value, v.Type().Bits())
		if err == nil && (math.IsInf(x, 0) || math.IsNaN(x)) {
			err = strconv.ErrSyntax
		}
		if d.number(s, n, v, err) {
			v.SetFloat(x)
		}
	default:
		panic(fmt.Sprintf("yamlfile: cannot decode into %s", v.Type()))
	}
}

func (d *decoder) boolean(s slot, n *yaml.Node, v reflect.Value) {
	switch strings.ToLower(n.Value) {
	case "true":
		v.SetBool(true)
	case "false":
		v.SetBool(false)
	case "yes", "on", "y":
		d.errorf(s, "wrong-type", "expected true or false, got %s", describe(n)).Hint = "write true"
	case "no", "off", "n":
		d.errorf(s, "wrong-type", "expected true or false, got %s", describe(n)).Hint = "write false"
	default:
		d.errorf(s, "wrong-type", "expected true or false, got %s", describe(n))
	}
}

func (d *decoder) duration(s slot, n *yaml.Node, v reflect.Value) {
	t, err := time.ParseDuration(n.Value)
	if err != nil {
		finding := d.errorf(s, "wrong-type", "expected a duration, got %s", describe(n))
		finding.Hint = "such as 2s, 500ms or 1h30m"
		if plainNumber.MatchString(n.Value) {
			finding.Hint = "with its unit: " + n.Value + "s"
		}
		return
	}
	v.SetInt(int64(t))
}

// plainNumber matches numbers that have one meaning: not octal 007, 0x1f, 1_000 or .inf.
var plainNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// number reports why a text is not a number of the type.
func (d *decoder) number(s slot, n *yaml.Node, v reflect.Value, err error) bool {
	switch {
	case errors.Is(err, strconv.ErrRange):
		d.errorf(s, "wrong-type", "the number %s is out of range", shorten(n.Value))
	case err != nil:
		d.errorf(s, "wrong-type", "expected %s, got %s", typeName(v.Type()), describe(n))
	case !plainNumber.MatchString(n.Value):
		d.errorf(s, "wrong-type", "the number %s can be read in two ways", shorten(n.Value)).Hint = "write it without leading zeros, signs and underscores"
	default:
		return true
	}
	return false
}

func typeName(t reflect.Type) string {
	switch k := t.Kind(); {
	case k == reflect.String:
		return "text"
	case k == reflect.Bool:
		return "true or false"
	case t == durationType:
		return "a duration"
	case k == reflect.Float32 || k == reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// untyped decodes into an any: nil, bool, string, json.Number (the text of the
// number, exactly), []any and map[string]any.
func (d *decoder) untyped(s slot) any {
	n := Resolve(s.node)
	switch {
	case isNull(n):
		return nil
	case n.Kind == yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = d.untyped(slot{node: item})
		}
		return list
	case n.Kind == yaml.MappingNode:
		m := map[string]any{}
		for _, e := range d.entries(s, n) {
			m[e.Name] = d.untyped(slot{key: e.Key, node: e.Value})
		}
		return m
	}
	switch n.ShortTag() {
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		if !plainNumber.MatchString(n.Value) {
			d.errorf(s, "wrong-type", "%s can be read as text and as a number", shorten(n.Value)).
				Hint = "quote it if it is text"
		}
		return json.Number(n.Value)
	}
	return n.Value
}

package yamlfile_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

type config struct {
	Name    string            `yaml:"name" validate:"required,max=5"`
	Count   int               `yaml:"count" validate:"min=1,max=10"`
	Big     uint8             `yaml:"big"`
	Rate    float64           `yaml:"rate"`
	On      bool              `yaml:"on"`
	Wait    time.Duration     `yaml:"wait"`
	Plan    string            `yaml:"plan" validate:"omitempty,oneof=standard enterprise"`
	Events  []string          `yaml:"events" validate:"dive,required,uppercase"`
	Labels  map[string]string `yaml:"labels"`
	Sub     *sub              `yaml:"sub"`
	Subs    []sub             `yaml:"subs"`
	Any     any               `yaml:"any"`
	Colour  colour            `yaml:"colour"`
	Either  either            `yaml:"either"`
	Node    *yaml.Node        `yaml:"node"`
	Plain   string            // its key is "plain"
	Ignored string            `yaml:"-"`
	//lint:ignore U1000 decoding must skip it
	hidden string
	Base   `yaml:",inline"`
}

// Base is inlined.
type Base struct {
	Title string `yaml:"title"`
}

type sub struct {
	ID    int    `yaml:"id" validate:"required"`
	Left  string `yaml:"left" validate:"required_without=Right"`
	Right string `yaml:"right" validate:"required_without=Left"`
}

type colour string

func (c *colour) UnmarshalText(text []byte) error {
	if string(text) != "red" {
		return errors.New("want red")
	}
	*c = colour(text)
	return nil
}

// either is a word or a list of words.
type either []string

func (e *either) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	var list []string
	if yamlfile.Resolve(n).Kind == yaml.SequenceNode {
		findings := yamlfile.Decode(f, n, &list)
		*e = list
		return findings
	}
	*e = either{yamlfile.Resolve(n).Value}
	return nil
}

const good = "name: a\ncount: 1\n"

func TestDecode(t *testing.T) {
	const src = good + `
big: 255
rate: 1.5
on: true
wait: 2s
plan: standard
events: [A, B]
labels: {x: 007, y: yes}
sub: {id: 0, left: l}
subs:
  - &s {id: 1, right: r}
  - *s
any: {n: 10.50, b: true, s: text, d: 2024-01-01, l: [1, ~]}
colour: red
either: one
node: {x: 1}
plain: 12
title: T
`
	f, list := yamlfile.Parse("x", []byte(src))
	if len(list) > 0 {
		t.Fatal(list)
	}
	var got config
	if list := yamlfile.Decode(f, f.Root, &got); len(list) > 0 {
		t.Fatal(list)
	}
	if got.Node == nil || got.Node.Kind != yaml.MappingNode || got.Node.Line == 0 {
		t.Errorf("the node is %+v", got.Node)
	}
	got.Node = nil
	want := config{
		Name: "a", Count: 1, Big: 255, Rate: 1.5, On: true, Wait: 2 * time.Second, Plan: "standard",
		Events: []string{"A", "B"}, Labels: map[string]string{"x": "007", "y": "yes"},
		Sub: &sub{Left: "l"}, Subs: []sub{{ID: 1, Right: "r"}, {ID: 1, Right: "r"}},
		Any:    map[string]any{"n": json.Number("10.50"), "b": true, "s": "text", "d": "2024-01-01", "l": []any{json.Number("1"), nil}},
		Colour: "red", Either: either{"one"}, Plain: "12", Base: Base{Title: "T"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDecodeFindings(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"unknown key", good + "plna: x\n", `x:3:1: unknown key "plna" [unknown-key] (did you mean "plan"?)`},
		{"unknown key, nothing near", good + "sub: {id: 1, left: a, zzzzzz: 1}\n", `x:3:23: unknown key "zzzzzz" [unknown-key] (use one of id, left, right)`},
		{"hidden field", good + "hidden: x\n", `x:3:1: unknown key "hidden" [unknown-key] (use one of name, count, big, rate, on, wait, plan, events …)`},
		{"missing key at the top", "count: 1\n", `x:1:1: missing key "name" [missing-key]`},
		{"missing keys below a key", good + "sub:\n", "x:3:1: missing key \"id\" in \"sub\" [missing-key]\nx:3:1: missing key \"left\" or \"right\" in \"sub\" [missing-key]"},
		{"missing key in a list", good + "subs:\n  - left: x\n", `x:4:5: missing key "id" [missing-key]`},
		{"empty text", "name: ''\ncount: 1\n", `x:1:7: must not be empty [invalid-value]`},
		{"no text", "name:\ncount: 1\n", `x:1:6: expected text, got an empty value [wrong-type]`},
		{"long text", "name: жжжжжж\ncount: 1\n", `x:1:7: must be at most 5 characters [invalid-value]`},
		{"number too small", "name: a\ncount: 0\n", `x:2:8: must be at least 1 [invalid-value]`},
		{"wrong type hides the rest", "name: a\ncount: many\n", `x:2:8: expected a whole number, got the text "many" [wrong-type]`},
		{"fraction", "name: a\ncount: 1.5\n", `x:2:8: expected a whole number, got the number 1.5 [wrong-type]`},
		{"leading zero", "name: a\ncount: 007\n", `x:2:8: the number 007 can be read in two ways [wrong-type] (write it without leading zeros, signs and underscores)`},
		{"out of range", good + "big: 256\n", `x:3:6: the number 256 is out of range [wrong-type]`},
		{"infinity", good + "rate: Inf\n", `x:3:7: expected a number, got the text "Inf" [wrong-type]`},
		{"yes", good + "on: yes\n", `x:3:5: expected true or false, got the text "yes" [wrong-type] (write true)`},
		{"duration without unit", good + "wait: 2\n", `x:3:7: expected a duration, got the number 2 [wrong-type] (with its unit: 2s)`},
		{"duration", good + "wait: soon\n", `x:3:7: expected a duration, got the text "soon" [wrong-type] (such as 2s, 500ms or 1h30m)`},
		{"one of", good + "plan: enterprize\n", `x:3:7: "enterprize" is not allowed here [invalid-value] (did you mean "enterprise"?)`},
		{"one of, nothing near", good + "plan: free\n", `x:3:7: "free" is not allowed here [invalid-value] (use one of standard, enterprise)`},
		{"text for a list", good + "events: A\n", `x:3:9: expected a list, got the text "A" [wrong-type] (write [A])`},
		{"mapping for a list", good + "events: {A: 1}\n", `x:3:9: expected a list, got a mapping [wrong-type] (start each entry with "- ")`},
		{"entry of a list", good + "events:\n  - A\n  - ''\n", `x:5:5: must not be empty [invalid-value]`},
		{"list for text", good + "labels: {x: [1]}\n", `x:3:13: expected text, got a list [wrong-type]`},
		{"list for a mapping", good + "sub: [1]\n", `x:3:6: expected a mapping, got a list [wrong-type]`},
		{"text for a dictionary", good + "labels: x\n", `x:3:9: expected a mapping, got the text "x" [wrong-type]`},
		{"text unmarshaler", good + "colour: blue\n", `x:3:9: want red [invalid-value]`},
		{"text unmarshaler of a list", good + "colour: [red]\n", `x:3:9: expected one value, got a list [wrong-type]`},
		{"node unmarshaler", good + "either: [a, [b]]\n", `x:3:13: expected text, got a list [wrong-type]`},
		{"untyped number", good + "any: {n: 0123}\n", `x:3:10: 0123 can be read as text and as a number [wrong-type] (quote it if it is text)`},
		{"behind an alias", "name: &n abcdefgh\ncount: 1\ntitle: *n\nbig: *n\n", "x:1:10: expected a whole number, got the text \"abcdefgh\", used as *n on line 4 [wrong-type]\nx:1:10: must be at most 5 characters [invalid-value]"},
		{"two at once", "name: abcdefgh\ncount: 11\nx: 1\n", "x:1:7: must be at most 5 characters [invalid-value]\nx:2:8: must be at most 10 [invalid-value]\nx:3:1: unknown key \"x\" [unknown-key] (use one of name, count, big, rate, on, wait, plan, events …)"},
		{"no mapping at all", "[1]", `x:1:1: expected a mapping, got a list [wrong-type]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, list := yamlfile.Parse("x", []byte(tt.src))
			if len(list) > 0 {
				t.Fatal(list)
			}
			var c config
			got := lines(yamlfile.Decode(f, f.Root, &c))
			if diff := cmp.Diff(tt.want, strings.TrimSuffix(got, "\n")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDecodeMarksTheEnd(t *testing.T) {
	f, _ := yamlfile.Parse("x", []byte("name: \"a\\tbcdef\"\ncount: 1\n"))
	var c config
	list := yamlfile.Decode(f, f.Root, &c)
	if len(list) != 1 || list[0].Column != 8 || list[0].EndLine != 1 || list[0].EndColumn != 16 {
		t.Errorf("got %+v, want one from 1:8 to 1:16", list)
	}
}

func TestDecodeNothing(t *testing.T) {
	f, _ := yamlfile.Parse("x", nil)
	var c config
	if got, want := lines(yamlfile.Decode(f, f.Root, &c)), "x:1:1: missing key \"name\" [missing-key]\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s first", got, want)
	}
	var open struct {
		Known string         `yaml:"known"`
		Rest  map[string]int `yaml:",inline"`
	}
	f, _ = yamlfile.Parse("x", []byte("known: a\nb: 1\nc: 2\n"))
	if list := yamlfile.Decode(f, f.Root, &open); len(list) > 0 || open.Rest["b"] != 1 || open.Rest["c"] != 2 || open.Known != "a" {
		t.Errorf("got %+v, %v", open, list)
	}
}

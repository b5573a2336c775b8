package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
)

type checkedArgs struct {
	List   int             `yaml:"list" doc:"a list"`
	Of     string          `yaml:"of" validate:"omitempty,oneof=deal lead" doc:"a kind"`
	Ids    any             `yaml:"ids" doc:"ids"`
	Fields engine.Fields   `yaml:"fields" doc:"fields"`
	Rows   []any           `yaml:"rows" doc:"rows"`
	Key    engine.RowValue `yaml:"key" rows:"rows" doc:"a key"`
}

// checked loads a rule with one step and returns what check sees of it.
func checked(t *testing.T, step string, check func(*engine.StepCheck)) []string {
	t.Helper()
	action := engine.Define(engine.Spec[checkedArgs]{
		Name: "checked", Doc: "is checked", Check: check,
		Run: func(context.Context, *engine.Call, checkedArgs) (any, error) { return nil, nil },
	})
	text := "version: 1\ninputs: {name: {type: string, default: A}}\nvars: {v: B}\nrules:\n  r:\n    on: ONCRMDEALUPDATE\n    steps:\n      - " + step + "\n"
	_, list := load.File("rule.yaml", []byte(text), []*engine.Action{action})
	var out []string
	for _, f := range list {
		out = append(out, f.String())
	}
	return out
}

// TestStepCheck checks what an action's Check sees, and where its findings are.
func TestStepCheck(t *testing.T) {
	calls := 0
	got := checked(t, "{once: =event.id, retry: 2, checked: {list: 47, ids: [1, x, =event.id], fields: {=inputs.name: 1, =vars.v: =event.id, ='C' + event.portal: 2}, rows: [], key: =row}}", func(c *engine.StepCheck) {
		calls++
		types := c.Types()
		if list, ok := types.Const("list"); !ok || fmt.Sprint(list) != "47" || !types.Given("list") || !types.Written("list") || types.Written("of") {
			t.Errorf("list is %v, %t", list, ok)
		}
		if ids, ok := types.Const("ids"); ok {
			t.Errorf("ids are constant: %v", ids)
		}
		if got := types.Type("list").String() + ", " + types.Type("of").String(); got != "whole number, any value" {
			t.Errorf("the types are %s", got)
		}
		if _, ok := types.Entry("of", "A"); ok {
			t.Error("an argument that is not given has an entry")
		}
		if c.Source("fields") != "" || c.Source("key") != "row" || c.Source("of") != "" {
			t.Errorf("sources %q, %q", c.Source("fields"), c.Source("key"))
		}
		if !c.Remembers() || !c.Parks() || c.Repeated() || c.Deleted() || c.Rule().ID != "r" {
			t.Error("the options of the step are wrong")
		}
		if diff := cmp.Diff([]string{"event", "inputs", "vars"}, c.Reads("fields")); diff != "" {
			t.Errorf("names (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]int{2}, c.Rule().EventTypes()); diff != "" || c.Rule().Derived() {
			t.Errorf("types of the events (-want +got)\n%s", diff)
		}
		c.EachName("fields", func(n engine.NamedArg) {
			n.WarnNamef("wrong-key", "a name %s", n.Name)
			_, constant := n.Const()
			n.WarnValuef("wrong-key", "%s, constant %t", n.Type(), constant)
		})
		c.EachElement("ids", func(v any, warn func(string, string, ...any) *engine.Finding) { warn("wrong-type", "element %v", v) })
		c.Errorf("list", "bad-value", "a value").Hint = "use 48"
		c.Warnf("of", "bad-value", "not given")
	})
	want := []string{
		"rule.yaml:8:37: warning: not given [bad-value]",
		"rule.yaml:8:53: a value [bad-value] (use 48)",
		"rule.yaml:8:63: warning: element 1 [wrong-type]", "rule.yaml:8:66: warning: element x [wrong-type]",
		"rule.yaml:8:90: warning: a name A [wrong-key]", "rule.yaml:8:104: warning: whole number, constant true [wrong-key]",
		"rule.yaml:8:107: warning: a name B [wrong-key]", "rule.yaml:8:116: warning: whole number, constant false [wrong-key]",
	}
	if diff := cmp.Diff(want, got); diff != "" || calls != 1 {
		t.Errorf("%d calls, findings (-want +got)\n%s", calls, diff)
	}
}

// TestConstants checks which values are the same in every run.
func TestConstants(t *testing.T) {
	for value, want := range map[string]string{
		"5": "5", "x": "x", "=1 + 1": "2", "[1, =2, [x]]": "[1 2 [x]]", "[]": "[]", "=event.id": "", "[=event.id]": "", "{a: 1}": "", "'{{ event.id }}'": "",
	} {
		checked(t, "checked: {ids: "+value+"}", func(c *engine.StepCheck) {
			v, ok := c.Types().Const("ids")
			if got := fmt.Sprint(v); ok != (want != "") || ok && got != want {
				t.Errorf("%s is %s, %t, want %q", value, got, ok, want)
			}
			if value == "{a: 1}" {
				if v, ok := c.Types().Entry("ids", "a"); !ok || fmt.Sprint(v) != "1" {
					t.Errorf("the entry a of %s is %v, %t", value, v, ok)
				}
			}
		})
	}
}

func TestActionDescribesItself(t *testing.T) {
	a := engine.Define(engine.Spec[checkedArgs]{Name: "checked"})
	var names []string
	for _, arg := range a.Args() {
		names = append(names, arg.Name+":"+strings.Join(arg.OneOf(), "|"))
	}
	if diff := cmp.Diff([]string{"list:", "of:deal|lead", "ids:", "fields:", "rows:", "key:"}, names); diff != "" || a.HasResult() || a.Arguments.IsNames() {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !engine.Define(engine.Spec[engine.Names]{Name: "n"}).Arguments.IsNames() {
		t.Error("an action of names does not say so")
	}
}

// TestOrigins follows a value through computed names and the arguments of earlier steps.
func TestOrigins(t *testing.T) {
	set, list := load.File("rule.yaml", []byte(`version: 1
rules:
  r:
    on: ONCRMDEALUPDATE
    steps:
      - {id: item, give: {json: "{{ event.portal }}"}}
      - compute: {a: =item.x, b: "{{ a }} {{ event.count }}"}
      - {id: other, give: {json: "{{ b }}"}}
      - {when: =other.ok, on_error: [give: {json: "{{ error.message }}"}], give: {json: "=other.y"}}
`), []*engine.Action{give, engine.Define(engine.Spec[engine.Names]{Name: "compute", Doc: "computes", Spread: true, Run: func(context.Context, *engine.Call, engine.Names) (any, error) { return nil, nil }})})
	if list.HasErrors() {
		t.Fatal(list)
	}
	rule := set.Rules[0]
	var got []string
	engine.NewOrigins(rule).Sources(rule.Steps[3].When, func(path string) { got = append(got, path) })
	if diff := cmp.Diff([]string{"other.ok", "b", "a", "item.x", "event.portal", "event.count"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n := len(rule.AllSteps()); n != 5 {
		t.Errorf("%d steps, want 5 with that of on_error", n)
	}
}

// TestPrefetchable checks which steps may read before the steps above them.
func TestPrefetchable(t *testing.T) {
	read := engine.Define(engine.Spec[giveArgs]{Name: "read", Doc: "reads", Effect: engine.Reads, Result: give.Result, Run: func(context.Context, *engine.Call, giveArgs) (any, error) { return nil, nil }})
	write := engine.Define(engine.Spec[checkedArgs]{
		Name: "write", Doc: "writes", Effect: engine.Writes, PrefetchArgs: []string{"list"}, PrefetchNames: []string{"fields"},
		Prefetch: func(context.Context, *engine.Call, checkedArgs) (any, error) { return nil, nil },
		Run:      func(context.Context, *engine.Call, checkedArgs) (any, error) { return nil, nil },
	})
	end := engine.Define(engine.Spec[giveArgs]{Name: "end", Doc: "ends", Ends: true, Run: func(context.Context, *engine.Call, giveArgs) (any, error) { return nil, nil }})
	for _, tt := range []struct{ steps, want string }{
		{"      - {id: a, read: {json: x}}\n      - {id: b, read: {json: '{{ event.id }}'}}\n      - {id: c, read: {json: '{{ b }}'}}\n", "b"},
		{"      - read: {json: x}\n      - {id: b, when: =event.count > 1, read: {json: x}}\n      - {id: c, once: =event.id, read: {json: x}}\n      - {id: d, for_each: [1, 2], read: {json: x}}\n      - {id: e, timeout: 5s, read: {json: x}}\n", ""},
		{"      - {id: a, read: {json: x}}\n      - write: {list: =event.id, ids: =a, fields: {x: =a}}\n      - {id: c, read: {json: x}}\n", "write[2]"},
		{"      - {id: a, read: {json: x}}\n      - write: {list: 5, fields: {='x' + a: 1}}\n", ""},
		{"      - end: {json: x}\n      - {id: c, read: {json: x}}\n", ""},
	} {
		set, list := load.File("rule.yaml", []byte("version: 1\nrules:\n  r:\n    on: ONCRMDEALUPDATE\n    steps:\n"+tt.steps), []*engine.Action{read, write, end})
		if set == nil {
			t.Fatal(list)
		}
		var got []string
		for _, s := range engine.Prefetchable(set.Rules[0].Steps) {
			got = append(got, s.Label)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%v, want %q for\n%s", got, tt.want, tt.steps)
		}
	}
}

// host keeps what a call hands to the engine.
type host struct{ notes []string }

func (h *host) Start(string, []int) error { return nil }

func (h *host) MarkDeleted(string, map[string]any, []string) {}

func (h *host) Made(place string, id int, what engine.MadeWhat) {
	h.notes = append(h.notes, fmt.Sprintf("made %s %d %d", place, id, what))
}

func (h *host) Note(text string) { h.notes = append(h.notes, text) }
func (h *host) Delete(n int) error {
	if n > 2 {
		return engine.ParkError("too many: %d", n)
	}
	return nil
}

func (h *host) Number(_ context.Context, series string, atLeast int) (int, error) {
	return len(series) + atLeast, nil
}

func (h *host) Send(ctx context.Context, p engine.Request, send engine.SendFunc) (engine.Reply, bool, error) {
	r, err := send(ctx, p)
	return r, true, err
}

func (h *host) Prefetched(context.Context) (any, error) {
	if len(h.notes) == 0 {
		return nil, errors.New("nothing was read")
	}
	return len(h.notes), nil
}

func TestCall(t *testing.T) {
	h := &host{}
	c := engine.NewCall(engine.Call{PortalName: "main", RunID: "1", Key: "r/s/deal:7", Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "7"}}, h)
	if _, err := engine.ReadAhead[int](t.Context(), c); err == nil {
		t.Error("a failed read is no error")
	}
	c.Note("read %d", 3)
	if n, err := engine.ReadAhead[int](t.Context(), c); n != 1 || err != nil || h.notes[0] != "read 3" {
		t.Errorf("%d, %v, %v", n, err, h.notes)
	}
	if c.Deleting(2) != nil || c.Deleting(3) == nil {
		t.Error("the limit of deletions does not hold")
	}
	cause := errors.New("not found")
	var gone *engine.GoneError
	if err := c.Missing(2, 7, cause); !errors.As(err, &gone) || !errors.Is(err, cause) {
		t.Errorf("the run's own entity: %v", err)
	}
	c.Removed = true
	if c.Missing(2, 7, cause) != cause || c.Missing(2, 8, cause) != cause {
		t.Error("another entity that is missing ends the run")
	}
	if n, err := c.Number(t.Context(), "abc", 4); n != 7 || err != nil {
		t.Errorf("number %d, %v", n, err)
	}
	if r, sent, err := c.Send(t.Context(), engine.Request{}, func(context.Context, engine.Request) (engine.Reply, error) { return engine.Reply{Status: 201}, nil }); !sent || err != nil || r.Status != 201 {
		t.Errorf("%+v, %t, %v", r, sent, err)
	}
	keys := map[string]bool{}
	for range 2 { // the same content has the same key in each attempt
		for _, call := range []engine.Call{{Key: "a"}, {Key: "b"}, {Key: "a", RunID: "2"}, {Key: "a", PortalName: "p"}} {
			keys[call.EffectKey([]byte("x"))], keys[call.EffectKey([]byte("y"))] = true, true
		}
	}
	if len(keys) != 8 {
		t.Errorf("%d keys, want 8", len(keys))
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	for _, tt := range []struct {
		err        error
		text, code string
	}{
		{engine.ParkError("no %w", cause), "no cause", "error"},
		{engine.Stop("enough"), "stopped: enough", "error"},
		{&engine.GoneError{Err: cause}, "the entity is gone: cause", "error"},
		{&engine.StatusError{Status: http.StatusForbidden}, "403 Forbidden", "403"},
		{&engine.LaterError{NotBefore: time.Now(), Err: &engine.StatusError{Status: 429}}, "429 Too Many Requests", "429"},
		{fmt.Errorf("step: %w", &bitrix.Error{Method: "a.get", Code: "ACCESS_DENIED"}), "", "ACCESS_DENIED"},
	} {
		if got := tt.err.Error(); tt.text != "" && got != tt.text || engine.ErrorCode(tt.err) != tt.code {
			t.Errorf("%q with code %q, want %q with %q", got, engine.ErrorCode(tt.err), tt.text, tt.code)
		}
	}
	if !errors.Is(engine.ParkError("no %w", cause), cause) {
		t.Error("the cause of a parked run is lost")
	}
}

func TestCost(t *testing.T) {
	one := engine.Cost{Least: engine.Commands(1), Worst: engine.Per("rows")}
	both := one.Plus(engine.Cost{Least: engine.Commands(1), Worst: engine.Amount{Terms: []engine.Term{{Of: "items", Each: &engine.Amount{Fixed: 2}}, {Of: "types", Each: &engine.Amount{Fixed: 1}}}}})
	text, err := json.Marshal(both)
	if want := `{"Least":"2","Typical":"0","Worst":"rows + items × 2 + types"}`; err != nil || string(text) != want {
		t.Errorf("%s, want %s, %v", text, want, err)
	}
	if !both.Typical.Zero() || both.Worst.Zero() {
		t.Error("only the typical cost is zero")
	}
}

// Package enginetest has the small actions, portal and memory that the engine's tests
// share.
package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/engine/run"
)

// TB is the part of testing.TB that this package uses.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

type rowsArgs struct {
	Count int `yaml:"count" validate:"required,min=0,max=5" doc:"how many rows"`
}

type saveArgs struct {
	EntityTypeID int              `yaml:"entityTypeId" validate:"required" doc:"type"`
	Rows         []any            `yaml:"rows" doc:"rows"`
	Name         engine.RowValue  `yaml:"name" rows:"rows" doc:"name of a row"`
	Fields       engine.Fields    `yaml:"fields" doc:"fields"`
	Each         engine.RowFields `yaml:"each" rows:"rows" doc:"fields of a row"`
	Mode         string           `yaml:"mode" validate:"omitempty,oneof=soft hard" doc:"mode"`
	Sums         engine.Names     `yaml:"sums" group:"rows,name" doc:"sums"`
	Extra        map[string]any   `yaml:"extra" doc:"free"`
}

// FailArgs are the arguments of fail.
type FailArgs struct {
	With string `yaml:"with" doc:"what to fail with"`
}

// Saved is what one call of the action save received.
type Saved struct {
	Fields engine.Fields
	Names  []any
	Each   []engine.Fields
	Sums   engine.Fields
	Extra  map[string]any
}

// Actions are make_rows, save, compute and fail. save appends what it receives to
// out.
func Actions(out *[]Saved) []*engine.Action {
	row := formula.RecordOf(map[string]formula.Type{
		"id": {Kind: formula.Int}, "name": {Kind: formula.String}, "price": {Kind: formula.Number},
	})
	return []*engine.Action{
		engine.Define(engine.Spec[rowsArgs]{
			Name: "make_rows", Doc: "makes rows", Effect: engine.Reads,
			Result: func(*engine.ArgTypes) formula.Type { return formula.ListOf(row) },
			Run: func(_ context.Context, c *engine.Call, a rowsArgs) (any, error) {
				var rows []any
				for i := range a.Count {
					rows = append(rows, map[string]any{"id": num.FromInt(int64(i + 1)), "name": fmt.Sprintf("row %d", i+1), "price": num.MustParse("33.33")})
				}
				return rows, nil
			},
		}),
		engine.Define(engine.Spec[saveArgs]{
			Name: "save", Doc: "keeps what it is given", Effect: engine.Writes,
			Touches: func(*engine.ArgTypes) []engine.Touch {
				return []engine.Touch{{Kind: engine.TouchItems, Of: "entityTypeId", Adds: true, Updates: true, Fields: "fields"}}
			},
			Run: func(ctx context.Context, c *engine.Call, a saveArgs) (any, error) {
				s := Saved{Fields: a.Fields, Extra: a.Extra}
				for i, r := range a.Rows {
					if a.Name.Given() {
						v, err := a.Name.Eval(ctx, r, i)
						if err != nil {
							return nil, err
						}
						s.Names = append(s.Names, v)
					}
					if a.Each.Given() {
						f, err := a.Each.Eval(ctx, r, i)
						if err != nil {
							return nil, err
						}
						s.Each = append(s.Each, f)
					}
				}
				if a.Sums.Len() > 0 {
					f, err := a.Sums.Eval(ctx, map[string]any{"group": map[string]any{"key": nil, "rows": a.Rows}})
					if err != nil {
						return nil, err
					}
					s.Sums = f
				}
				*out = append(*out, s)
				return nil, nil
			},
		}),
		engine.Define(engine.Spec[engine.Names]{
			Name: "compute", Doc: "computes names", Spread: true,
			Result: func(*engine.ArgTypes) formula.Type { return formula.OpenRecord(nil) },
			Run: func(ctx context.Context, _ *engine.Call, n engine.Names) (any, error) {
				f, err := n.Eval(ctx, nil)
				return f.Map(), err
			},
		}),
		engine.Define(engine.Spec[FailArgs]{
			Name: "fail", Doc: "fails",
			Run: func(_ context.Context, c *engine.Call, a FailArgs) (any, error) {
				switch a.With {
				case "park":
					return nil, engine.ParkError("no good")
				case "stop":
					return nil, engine.Stop("enough")
				case "gone":
					return nil, c.Missing(2, 7, errors.New("not found"))
				}
				return nil, errors.New(a.With)
			},
		}),
	}
}

// Portal answers every call with the same error.
type Portal struct {
	engine.Portal
	Err error
}

// Do answers all calls.
func (p Portal) Do(_ context.Context, calls ...bitrix.Call) []bitrix.Answer {
	out := make([]bitrix.Answer, len(calls))
	for i := range out {
		out[i] = bitrix.Answer{Total: -1, Next: -1, Err: p.Err, Result: json.RawMessage(`{"item":{"id":7}}`)}
	}
	return out
}

// Compile compiles a file that has no errors. Warnings do not matter to tests of what
// rules do.
func Compile(t TB, text string, out *[]Saved) *engine.RuleSet {
	t.Helper()
	set, list := load.File("rule.yaml", []byte(text), Actions(out))
	if list.HasErrors() {
		t.Fatalf("findings: %v", list)
	}
	return set
}

// DealRun is a run for deal 7.
func DealRun() run.Run {
	return run.Run{
		Portal: "main", Client: Portal{}, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "7"},
		Event: engine.Event{Code: "ONCRMDEALUPDATE"}, Count: 1, Attempt: 1, Memory: &run.LocalMemory{},
	}
}

// Head starts a rule file: a rule about deals, up to its steps.
const Head = "version: 1\nrules:\n  r:\n    on: [ONCRMDEALUPDATE, ONCRMDEALDELETE]\n"

// RunSteps runs a rule with the given steps. Its deleted steps save the field gone.
func RunSteps(t TB, steps string, run run.Run) (*history.Trace, []Saved, error) {
	t.Helper()
	var out []Saved
	text := Head + "    deleted:\n      - save: {entityTypeId: 9, fields: {gone: =event.id}}\n    steps:\n" + steps
	set := Compile(t, text, &out)
	trace, err := run.Do(context.Background(), set.Rules[0])
	return trace, out, err
}

package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/wanttest"
)

// The actions of these tests are small: the engine knows no others.

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

type failArgs struct {
	With string `yaml:"with" doc:"what to fail with"`
}

// saved collects what the save action of a test was given.
type saved struct {
	Fields engine.Fields
	Names  []any
	Each   []engine.Fields
	Sums   engine.Fields
	Extra  map[string]any
}

func testActions(out *[]saved) []*engine.Action {
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
				s := saved{Fields: a.Fields, Extra: a.Extra}
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
		engine.Define(engine.Spec[failArgs]{
			Name: "fail", Doc: "fails",
			Run: func(_ context.Context, c *engine.Call, a failArgs) (any, error) {
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

// noPortal answers every call with the same error.
type noPortal struct {
	engine.Portal
	err error
}

func (p noPortal) Do(_ context.Context, calls ...bitrix.Call) []bitrix.Answer {
	out := make([]bitrix.Answer, len(calls))
	for i := range out {
		out[i] = bitrix.Answer{Total: -1, Next: -1, Err: p.err, Result: json.RawMessage(`{"item":{"id":7}}`)}
	}
	return out
}

// memory remembers in memory.
type memory struct{ once, staged map[string]string }

func (m *memory) Once(_ context.Context, step string) (string, bool, error) {
	v, ok := m.once[step]
	return v, ok, nil
}
func (m *memory) SetOnce(step, value string)                 { m.staged[step] = value }
func (m *memory) Done(context.Context, string) (bool, error) { return false, nil }
func (m *memory) MarkDone(context.Context, string) error     { return nil }
func newMemory() *memory                                     { return &memory{once: map[string]string{}, staged: map[string]string{}} }

// compileOne compiles a file without errors. These tests are about what rules
// do: that nobody reads a result does not matter to them.
func compileOne(t *testing.T, text string, out *[]saved) *engine.RuleSet {
	t.Helper()
	set, list := load.File("rule.yaml", []byte(text), testActions(out))
	if list.HasErrors() {
		t.Fatalf("findings: %v", list)
	}
	return set
}

// readFiles returns the files of the tests that a pattern names.
func readFiles(t testing.TB, pattern string) map[string][]txtar.File {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	out := map[string][]txtar.File{}
	for _, path := range paths {
		if out[filepath.Base(path)], err = wanttest.Read(path); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// compileAll compiles files and checks them together.
func compileAll(t testing.TB, files []txtar.File, acts []*engine.Action) diag.List {
	t.Helper()
	var list diag.List
	var sets []*engine.RuleSet
	for _, f := range files {
		set, found := load.File(f.Name, f.Data, acts)
		if (set == nil) != found.HasErrors() {
			t.Errorf("%s: set is nil: %v, errors: %v", f.Name, set == nil, found.HasErrors())
		}
		list.Add(found...)
		if set != nil {
			sets = append(sets, set)
		}
	}
	list.Add(lint.Together(sets)...)
	list.Sort()
	return list
}

// TestFindings compiles the files of testdata/findings with the small actions
// of these tests, and those of testdata/lint with the actions of the program.
func TestFindings(t *testing.T) {
	for pattern, acts := range map[string][]*engine.Action{
		"testdata/findings/*.yaml": testActions(new([]saved)),
		"testdata/lint/*":          actions.All,
	} {
		for name, files := range readFiles(t, pattern) {
			t.Run(name, func(t *testing.T) {
				for _, problem := range wanttest.Problems(files, compileAll(t, files, acts)) {
					t.Error(problem)
				}
			})
		}
	}
}

// TestPlacesInEveryEncoding holds that a file has the same findings at the same
// places with the line ends of Windows or old Macs and with a byte order mark.
func TestPlacesInEveryEncoding(t *testing.T) {
	for name, files := range readFiles(t, "testdata/findings/*.yaml") {
		text := string(files[0].Data)
		_, want := load.File(name, []byte(text), testActions(new([]saved)))
		for encoding, other := range map[string]string{
			"CRLF": strings.ReplaceAll(text, "\n", "\r\n"), "CR": strings.ReplaceAll(text, "\n", "\r"), "BOM": "\ufeff" + text,
		} {
			_, got := load.File(name, []byte(other), testActions(new([]saved)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s as %s (-LF +%s)\n%s", name, encoding, encoding, diff)
			}
		}
	}
}

package engine_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine"
)

func TestAmount(t *testing.T) {
	t.Parallel()
	each := engine.Pages("items").Plus(engine.Commands(1))
	for _, tt := range []struct {
		amount engine.Amount
		text   string
		at     map[int]int
	}{
		{engine.Amount{}, "0", map[int]int{0: 0, 100: 0}},
		{engine.Commands(2), "2", map[int]int{0: 2, 100: 2}},
		{engine.Commands(2).Plus(engine.Pages("rows")), "2 + ⌈rows/50⌉", map[int]int{0: 3, 50: 3, 51: 4}},
		{engine.Pages("rows").Plus(engine.Per("rows")).Plus(engine.Pages("rows")), "2 × ⌈rows/50⌉ + rows", map[int]int{10: 12, 100: 104}},
		{engine.Amount{Terms: []engine.Term{{Of: "rows", Each: &each}}}, "rows × (1 + ⌈items/50⌉)", map[int]int{3: 6, 60: 180}},
	} {
		if d := cmp.Diff(tt.text, tt.amount.String()); d != "" {
			t.Errorf("text (-want +got):\n%s", d)
		}
		for n, want := range tt.at {
			if got := tt.amount.At(n); got != want {
				t.Errorf("%s with %d of each is %d, want %d", tt.amount, n, got, want)
			}
		}
	}
}

func TestSaysNamesArguments(t *testing.T) {
	t.Parallel()
	defer func() {
		want := `engine: action x: field Says has {name|of @typ}, but no argument is called "typ"`
		if d := cmp.Diff(any(want), recover()); d != "" {
			t.Errorf("panic (-want +got):\n%s", d)
		}
	}()
	type args struct {
		Name string `yaml:"name" doc:"a name"`
	}
	engine.Define(engine.Spec[args]{Name: "x", Says: "does {name|of @typ}"})
}

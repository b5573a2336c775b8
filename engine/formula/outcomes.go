package formula

import (
	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/engine/num"
)

// Outcome is a constant that a choice of a formula can give: "WON" in
// deal.paid ? "WON" : deal.stageId.
type Outcome struct {
	Value    any // a text or a num.Num
	From, To int // its place in the source, in characters
}

// Outcomes returns the constants that the value of the formula can be by its last choice,
// c ? a : b or a ?? b, in order of place. A formula that is a constant has none.
func (f *Formula) Outcomes() []Outcome { return f.outcomes }

func (c *checker) outcomes(root ast.Node) (out []Outcome) {
	visits := 0
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if visits++; visits > maxVisits {
			return
		}
		var v any
		switch x := n.(type) {
		case *ast.ConditionalNode:
			walk(x.Exp1)
			walk(x.Exp2)
			return
		case *ast.BinaryNode:
			if x.Operator == "??" {
				walk(x.Left)
				walk(x.Right)
			}
			return
		case *ast.StringNode:
			v = x.Value
		case *ast.IntegerNode:
			v = num.FromInt(int64(x.Value))
		default:
			return
		}
		if n != root {
			from, to := c.extent(n)
			out = append(out, Outcome{v, from, to})
		}
	}
	walk(root)
	return out
}

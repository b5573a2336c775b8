package formula

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// sameOperators are the operators that have two spellings.
var sameOperators = map[string]string{"and": "&&", "or": "||", "not": "!", "^": "**"}

// canonical returns a text of an expression that does not depend on how it is
// spaced, quoted or put in brackets. (The String of expr's nodes writes numbers
// as floats.) A text that would be longer than maxCanonical, because nodes are
// shared, equals no other.
func canonical(s *source, n ast.Node) string {
	var b strings.Builder
	if writeCanonical(&b, s, n); b.Len() > maxCanonical {
		return fmt.Sprintf("%p", n)
	}
	return b.String()
}

// maxCanonical is longer than the canonical text of any source without shared nodes.
const maxCanonical = 4 * maxSource

func writeCanonical(b *strings.Builder, s *source, n ast.Node) {
	if b.Len() > maxCanonical {
		return
	}
	switch x := n.(type) {
	case nil:
	case *ast.NilNode, *ast.BoolNode, *ast.PointerNode:
		b.WriteString(x.String())
	case *ast.StringNode:
		b.WriteString(strconv.Quote(x.Value))
	case *ast.IdentifierNode:
		b.WriteString(x.Value)
	case *ast.IntegerNode, *ast.FloatNode:
		from, to := s.span(n.Location())
		b.WriteString(strings.ReplaceAll(string(s.runes[from:to]), "_", ""))
	case *ast.UnaryNode:
		b.WriteString(operatorName(x.Operator))
		writeCanonical(b, s, x.Node)
	case *ast.BinaryNode:
		writeList(b, s, "(", " "+operatorName(x.Operator)+" ", ")", x.Left, x.Right)
	case *ast.ConditionalNode:
		writeList(b, s, "if(", ", ", ")", x.Cond, x.Exp1, x.Exp2)
	case *ast.ChainNode:
		writeCanonical(b, s, x.Node)
	case *ast.MemberNode:
		writeCanonical(b, s, x.Node)
		if x.Optional {
			b.WriteString("?.")
		}
		writeList(b, s, "[", "", "]", x.Property)
	case *ast.SliceNode:
		writeCanonical(b, s, x.Node)
		writeList(b, s, "[", ":", "]", x.From, x.To)
	case *ast.VariableDeclaratorNode:
		writeList(b, s, "let "+x.Name+" = ", "; ", "", x.Value, x.Expr)
	case *ast.CallNode:
		writeCanonical(b, s, x.Callee)
		writeList(b, s, "(", ", ", ")", x.Arguments...)
	case *ast.BuiltinNode:
		b.WriteString(x.Name)
		writeList(b, s, "(", ", ", ")", x.Arguments...)
	default:
		writeList(b, s, fmt.Sprintf("%T(", n), ", ", ")", children(n)...)
	}
}

func writeList(b *strings.Builder, s *source, open, separator, end string, nodes ...ast.Node) {
	b.WriteString(open)
	for i, n := range nodes {
		if i > 0 {
			b.WriteString(separator)
		}
		writeCanonical(b, s, n)
	}
	b.WriteString(end)
}

func operatorName(name string) string {
	if same := sameOperators[name]; same != "" {
		return same
	}
	return name
}

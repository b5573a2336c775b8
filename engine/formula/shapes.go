package formula

import (
	"regexp"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/engine/texts"
	"github.com/b24rules/b24rules/internal/diag"
)

// The types of texts that functions give in one form only.
var (
	digitsType  = Type{Kind: String, Domain: shapeDomain("digits(…) gives only the digits of a text", allDigits, allDigits)}
	phoneType   = Type{Kind: String, Maybe: true, Domain: shapeDomain("phone(…) gives a number such as +79001112233", regexp.MustCompile(`^\+\d+$`), regexp.MustCompile(`^\+?\d*$`))}
	capitalType = Type{Kind: String, Domain: &Domain{Excludes: notCapitalized}}
	// numberText is the text of a number. Texts of numbers have the order of texts.
	numberText = Type{Kind: String, Domain: &Domain{Unordered: "texts of numbers have the order of texts, in which 10 comes before 9"}}
)

var allDigits = regexp.MustCompile(`^\d*$`)

// shapeDomain is the domain of texts that match a pattern, and whose parts match another.
func shapeDomain(why string, whole, part *regexp.Regexp) *Domain {
	excludes := func(shape *regexp.Regexp) func(text string) (reason, hint diag.Phrase) {
		return func(text string) (reason, hint diag.Phrase) {
			if !shape.MatchString(text) {
				reason = diag.Phrasef("%s", why)
			}
			return reason, hint
		}
	}
	return &Domain{Excludes: excludes(whole), ExcludesPart: excludes(part)}
}

func notCapitalized(text string) (why, hint diag.Phrase) {
	if right := texts.Capitalize(text); right != text {
		return diag.Phrasef("capitalize(…) starts with a capital letter"), diag.Phrasef("write %q", right)
	}
	return why, hint
}

// givesText gives the text of a value.
func givesText(args []Type) Type {
	if args[0].isNumber() {
		return numberText
	}
	return textType
}

// shapes are what the parts of a pattern of formatDate are replaced by.
var shapes = map[string]string{
	"yyyy": `\d{4}`, "yy": `\d\d`, "MM": `\d\d`, "M": `\d\d?`, "dd": `\d\d`, "d": `\d\d?`, "HH": `\d\d`, "H": `\d\d?`, "mm": `\d\d`, "ss": `\d\d`,
}

// dateText is the type of the texts that formatDate gives for a pattern.
func dateText(pattern ast.Node) Type {
	fixed, ok := pattern.(*ast.StringNode)
	if !ok {
		return textType
	}
	parts, unclosed := datetime.Parts(fixed.Value)
	if unclosed {
		return textType
	}
	var shape strings.Builder
	order := ""
	for _, p := range parts {
		switch {
		case !p.Filled:
			shape.WriteString(regexp.QuoteMeta(p.Text))
			continue
		case shapes[p.Text] != "":
			shape.WriteString(shapes[p.Text])
		default:
			shape.WriteString(`\S+`)
		}
		order += p.Text[:1]
	}
	re, err := regexp.Compile("^" + shape.String() + "$")
	if err != nil {
		return textType
	}
	d := &Domain{Excludes: func(text string) (why, hint diag.Phrase) {
		if !re.MatchString(text) {
			why = diag.Phrasef("formatDate gives texts in the form %q here", fixed.Value)
		}
		return why, hint
	}}
	if i := strings.IndexAny(order, "dM"); i >= 0 && strings.ContainsAny(order[i+1:], "yM") && !strings.HasPrefix(order, "y") && !strings.HasPrefix(order, "Md") {
		d.Unordered = "texts of days have the order of texts, in which 02.01.2026 comes before 31.12.2025"
	}
	return Type{Kind: String, Domain: d}
}

// doubtOrder warns of an order of texts that do not have the order of their values.
func (c *checker) doubtOrder(x *ast.BinaryNode, left, right operand) {
	for _, side := range []operand{left, right} {
		if d := side.typ.Domain; d != nil && d.Unordered != "" {
			hint := "compare the numbers themselves"
			if side.typ.Domain != numberText.Domain {
				hint = "compare the times themselves, such as date(a) < date(b)"
			}
			c.doubtOf(x, codeConstant, hint, "this order is not meant, because %s", d.Unordered)
			return
		}
	}
}

// roundedType is the type of round(number, places).
func (c *checker) roundedType(args []ast.Node, types []Type) Type {
	t := givesRounded(types)
	r := rangeOf(nil, types[0])
	if len(args) < 2 {
		return r.within(t)
	}
	literal, _ := isConstant(args[1])
	n, isNum := literal.(num.Num)
	places, whole := n.Int64()
	if !isNum || !whole || places < 0 || places > 10 {
		return t
	}
	if t = r.within(t); t.Kind == Int {
		return t
	}
	digits := int(places)
	d := Domain{Places: &digits}
	if t.Domain != nil {
		d.Range = t.Domain.Range
	}
	t.Domain = &d
	return t
}

package formula

import "github.com/expr-lang/expr/ast"

// notePart keeps which part of a price a field is.
func (c *checker) notePart(n ast.Node, t Type) {
	if t.Domain == nil || t.Domain.Part == NoPart {
		return
	}
	if c.parts == nil {
		c.parts = make(map[ast.Node]PricePart)
	}
	c.parts[n] = t.Domain.Part
}

// doubtPrice warns of a discount or a tax that is applied to a price which includes it.
func (c *checker) doubtPrice(x *ast.BinaryNode) {
	if len(c.parts) == 0 || c.visits > maxNodes {
		return
	}
	switch x.Operator {
	case "-": // price - discount
		if c.onlyPrice(x.Left) && !c.hasPart(x.Right, NetPrice, Tax) {
			c.doubtApplied(x, x.Left, x.Right, Discount)
		}
	case "*": // price * (1 - rate / 100), price * (100 + rate)
		for _, pair := range [][2]ast.Node{{x.Left, x.Right}, {x.Right, x.Left}} {
			price, rest := pair[0], c.resolved(pair[1])
			for {
				part, isBinary := rest.(*ast.BinaryNode)
				if !isBinary || part.Operator != "/" && part.Operator != "*" {
					break
				}
				rest = part.Left
			}
			factor, isBinary := rest.(*ast.BinaryNode)
			switch {
			case !isBinary || !isLiteral(factor.Left) || !c.onlyPrice(price):
			case factor.Operator == "-":
				c.doubtApplied(x, price, factor.Right, Discount)
			case factor.Operator == "+" && !c.hasPart(price, NetPrice):
				c.doubtApplied(x, price, factor.Right, Tax)
			}
		}
	}
}

// onlyPrice reports whether an expression has a price with its discount and no discount.
func (c *checker) onlyPrice(n ast.Node) bool {
	return c.hasPart(n, FinalPrice, NetPrice) && !c.hasPart(n, Discount, Tax)
}

// doubtApplied warns when the second expression has a part that the price includes.
func (c *checker) doubtApplied(x, price, applied ast.Node, part PricePart) {
	if !c.hasPart(applied, part) {
		return
	}
	what, name := "the price of a row is final: the discount is taken off", "priceNetto or priceBrutto is the price without the discount"
	switch {
	case part == Tax:
		what, name = "the price of a row is final: it includes the tax", "priceExclusive is the price without tax"
	case !c.hasPart(price, FinalPrice):
		what = "the discount is taken off from priceExclusive already"
	}
	c.doubtOf(x, codeForeign, name, "%s", what)
}

// hasPart reports whether an expression reads one of some parts of a price.
func (c *checker) hasPart(n ast.Node, parts ...PricePart) bool {
	if n == nil {
		return false
	}
	for _, part := range parts {
		if c.parts[n] == part {
			return true
		}
	}
	for _, child := range children(n) {
		if child != nil && c.hasPart(child, parts...) {
			return true
		}
	}
	return false
}

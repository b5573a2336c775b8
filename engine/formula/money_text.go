package formula

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
)

// MoneyText is the type of a custom field of the type money. Its value is a text such as
// 1500.5|RUB, whose parts formulas read as .amount and .currency.
var MoneyText = Type{Kind: String, Domain: moneyDomain}

var moneyDomain = &Domain{Code: "never-equal", Money: true, Excludes: func(text string) (why, hint diag.Phrase) {
	if _, err := moneyParts(text); err != nil {
		return diag.Phrasef("a money field is a text such as 1500.5|RUB"), diag.Phrasef("compare its .amount or its .currency")
	}
	return why, hint
}}

// The names of the parts of a money field.
const (
	partAmount   = "amount"
	partCurrency = "currency"
)

// moneyPartTypes are the types of the parts. An empty field has none.
var moneyPartTypes = map[string]Type{partAmount: numberType.Optional(), partCurrency: textType.Optional()}

// moneyPart returns the type of a part of a value of type t. ok is false if t is not that of
// a money field, or has no such part.
func (t Type) moneyPart(name string) (part Type, ok bool) {
	part, ok = moneyPartTypes[name]
	return part, ok && t.Kind == String && t.Domain != nil && t.Domain.Money
}

// moneyParts reads the text of a money field. Empty parts are nil, and those of an empty text
// are, too.
func moneyParts(text string) (map[string]any, error) {
	out := map[string]any{partAmount: nil, partCurrency: nil}
	if strings.TrimSpace(text) == "" {
		return out, nil
	}
	amount, currency, isMoney := strings.Cut(text, "|")
	if amount = strings.TrimSpace(amount); isMoney && amount != "" {
		n, err := num.Parse(amount)
		if isMoney = err == nil; isMoney {
			out[partAmount] = n
		}
	}
	if !isMoney {
		return nil, fmt.Errorf("%.60q has no amount and no currency: it is not the value of a money field, such as 1500.5|RUB", text)
	}
	if currency = strings.TrimSpace(currency); currency != "" {
		out[partCurrency] = currency
	}
	return out, nil
}

// FieldOf returns a field of a record, or a part of the text of a money field. It is nil if v has
// no such part.
func FieldOf(v any, name string) any {
	switch x := v.(type) {
	case map[string]any:
		return x[name]
	case string:
		if parts, err := moneyParts(x); err == nil {
			return parts[name]
		}
	}
	return nil
}

// asFieldBase returns what ?. reads a field of: a record, nil, or the parts of a money field.
func asFieldBase(name string) unary {
	if _, isPart := moneyPartTypes[name]; !isPart {
		return asRecord
	}
	return func(v any) any {
		if text, isText := v.(string); isText {
			parts, err := moneyParts(text)
			if err != nil {
				fail(err)
			}
			return parts
		}
		return asRecord(v)
	}
}

// noteMoney notes that a node reads a part of a money field. Without a snapshot of the portal
// the type of a custom field is not known, but its name shows that it is no record.
func (c *checker) noteMoney(x *ast.MemberNode, t Type, name string) {
	if _, isPart := moneyPartTypes[name]; !isPart {
		return
	}
	if _, known := t.moneyPart(name); !known && (t.Kind != Any || !c.isCustomField(x.Node)) {
		return
	}
	if c.money == nil {
		c.money = make(map[*ast.MemberNode]bool)
	}
	c.money[x] = true
}

// isCustomField reports whether an expression reads a field that a portal has added.
func (c *checker) isCustomField(n ast.Node) bool {
	if chain, ok := n.(*ast.ChainNode); ok {
		n = chain.Node
	}
	member, ok := n.(*ast.MemberNode)
	if !ok {
		return false
	}
	name, ok := member.Property.(*ast.StringNode)
	return ok && (strings.HasPrefix(name.Value, "ufCrm") || strings.HasPrefix(name.Value, "UF_") || strings.HasPrefix(name.Value, "PROPERTY_"))
}

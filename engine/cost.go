package engine

import (
	"fmt"
	"slices"
	"strings"
)

// Cost is how many REST commands a step sends. It does not count the descriptions of
// fields, because all runs share them for minutes.
type Cost struct {
	// Least is for a run that finds no difference, Typical for one that finds one
	// difference, Worst for one that writes everything.
	Least, Typical, Worst Amount
}

// Amount is a number of commands: a fixed part, and terms that grow with the number of
// records.
type Amount struct {
	Fixed int
	Terms []Term
}

// Term is a part of an Amount that grows.
type Term struct {
	// Of names the counted records: rows, elements, items.
	Of string
	// Pages says that each page of 50 records costs one command.
	Pages bool
	// Each is the cost of each record; nil means one command.
	Each *Amount
}

// pageSize is how many records the portal returns on one page of a listing.
const pageSize = 50

// Commands is a fixed number of commands.
func Commands(n int) Amount { return Amount{Fixed: n} }

// Pages is a command for each 50 records.
func Pages(of string) Amount { return Amount{Terms: []Term{{Of: of, Pages: true}}} }

// Per is a command for each record.
func Per(of string) Amount { return Amount{Terms: []Term{{Of: of}}} }

// Plus returns the sum of two amounts.
func (a Amount) Plus(b Amount) Amount {
	return Amount{Fixed: a.Fixed + b.Fixed, Terms: slices.Concat(a.Terms, b.Terms)}
}

// Zero reports whether the amount is always 0.
func (a Amount) Zero() bool { return a.Fixed == 0 && len(a.Terms) == 0 }

// At returns the number of commands for n records of each kind.
func (a Amount) At(n int) int {
	sum := a.Fixed
	for _, t := range a.Terms {
		switch {
		case t.Each != nil:
			sum += n * t.Each.At(n)
		case t.Pages:
			sum += max(1, (n+pageSize-1)/pageSize)
		default:
			sum += n
		}
	}
	return sum
}

// String writes the amount as a formula: "2 + ⌈rows/50⌉".
func (a Amount) String() string {
	var parts []string
	if a.Fixed > 0 || len(a.Terms) == 0 {
		parts = append(parts, fmt.Sprint(a.Fixed))
	}
	var texts []string
	times := map[string]int{}
	for _, t := range a.Terms {
		text := t.Of
		switch {
		case t.Each != nil:
			text = t.each()
		case t.Pages:
			text = fmt.Sprintf("⌈%s/%d⌉", t.Of, pageSize)
		}
		if times[text]++; times[text] == 1 {
			texts = append(texts, text)
		}
	}
	for _, text := range texts {
		if n := times[text]; n > 1 {
			text = fmt.Sprintf("%d × %s", n, text)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " + ")
}

// each writes a term with a cost for each record.
func (t Term) each() string {
	switch {
	case len(t.Each.Terms) > 0:
		return fmt.Sprintf("%s × (%s)", t.Of, t.Each)
	case t.Each.Fixed == 1:
		return t.Of
	}
	return fmt.Sprintf("%s × %d", t.Of, t.Each.Fixed)
}

// MarshalText writes the amount as String does.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Plus returns the sum of two costs.
func (c Cost) Plus(d Cost) Cost {
	return Cost{Least: c.Least.Plus(d.Least), Typical: c.Typical.Plus(d.Typical), Worst: c.Worst.Plus(d.Worst)}
}

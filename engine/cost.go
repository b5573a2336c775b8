package engine

import (
	"fmt"
	"slices"
	"strings"
)

// Cost is how many REST commands a step sends, apart from descriptions of
// fields, which are kept for minutes and shared by all runs.
type Cost struct {
	// Least is for a run that finds everything as it should be, Typical for one
	// that finds one difference, Worst for one that has everything to write.
	Least, Typical, Worst Amount
}

// Amount is a number of commands: a fixed part, and parts that grow with what
// the step handles.
type Amount struct {
	Fixed int
	Terms []Term
}

// Term is a part of an Amount that grows.
type Term struct {
	// Of is what is counted: rows, elements, items.
	Of string
	// Pages counts pages of 50 of them.
	Pages bool
	// Each is what each of them costs when that is not one command.
	Each *Amount
}

// pageSize is how many of a listing a portal answers at a time.
const pageSize = 50

// Commands is a fixed number of commands.
func Commands(n int) Amount { return Amount{Fixed: n} }

// Pages is a command for each 50 of something.
func Pages(of string) Amount { return Amount{Terms: []Term{{Of: of, Pages: true}}} }

// Per is a command for each of something.
func Per(of string) Amount { return Amount{Terms: []Term{{Of: of}}} }

// Plus returns the sum of two amounts.
func (a Amount) Plus(b Amount) Amount {
	return Amount{Fixed: a.Fixed + b.Fixed, Terms: slices.Concat(a.Terms, b.Terms)}
}

// Zero reports whether it is no command at all.
func (a Amount) Zero() bool { return a.Fixed == 0 && len(a.Terms) == 0 }

// At returns the number of commands when there are n of everything counted.
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

// each writes a term whose parts cost an amount.
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

// Plus adds the cost of a step to that of the steps before it.
func (c Cost) Plus(d Cost) Cost {
	return Cost{Least: c.Least.Plus(d.Least), Typical: c.Typical.Plus(d.Typical), Worst: c.Worst.Plus(d.Worst)}
}

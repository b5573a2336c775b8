package formula

import (
	"cmp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/engine/datetime"
)

// patternHint is what a pattern of formatDate is made of.
const patternHint = `write it with d, dd, M, MM, MMM, MMMM, yy, yyyy, H, HH, mm, ss, EEE, EEEE: "dd.MM.yyyy HH:mm"`

// datePattern warns of a pattern of formatDate that is one of another language, or in
// which minutes and months are exchanged. Only fixed patterns can be checked.
func (c *checker) datePattern(n ast.Node) {
	switch x := n.(type) {
	case *ast.ConditionalNode:
		c.datePattern(x.Exp1)
		c.datePattern(x.Exp2)
	case *ast.BinaryNode:
		if x.Operator == "??" {
			c.datePattern(x.Right)
		}
	case *ast.StringNode:
		c.fixedPattern(x)
	}
}

func (c *checker) fixedPattern(n *ast.StringNode) {
	pieces, unclosed := datetime.Parts(n.Value)
	if strings.ContainsAny(n.Value, `"\`) {
		c.doubtOf(n, codeForeign, "write a text between single quotes: 'at' HH:mm", "double quotes and backslashes of a pattern appear in the text")
		return
	}
	if unclosed {
		c.doubtOf(n, codeForeign, "write '' for the character itself", "a quote of the pattern has no end, so it appears in the text")
		return
	}
	var filled []string
	for len(pieces) > 0 {
		size := wordLength(pieces)
		if size == 0 {
			pieces = pieces[1:]
			continue
		}
		if p, foreign := foreignWord(pieces[:size]); foreign {
			p.From, p.To = c.extent(n)
			if p.Code == codeArgs {
				c.add(p)
			} else {
				c.doubt(p)
			}
			return
		}
		for _, piece := range pieces[:size] {
			if piece.Filled {
				filled = append(filled, piece.Text)
			}
		}
		pieces = pieces[size:]
	}
	if len(filled) == 0 {
		c.errorOf(n, codeArgs, patternHint, "the pattern of formatDate has no part that is filled in")
		return
	}
	c.exchangedParts(n, filled)
}

// wordLength returns how many pieces of a pattern the word at its start has, 0 if there
// is another character or a text in quotes.
func wordLength(pieces []datetime.Part) int {
	size := 0
	for size < len(pieces) && !pieces[size].Quoted && datetime.IsLetter(pieces[size].Text[0]) {
		size++
	}
	return size
}

// exchangedParts warns of minutes in the place of the month, and of the month in the
// place of minutes: minutes follow the hour or precede the seconds.
func (c *checker) exchangedParts(n *ast.StringNode, parts []string) {
	for i, part := range parts {
		timeOfDay := i > 0 && (parts[i-1] == "HH" || parts[i-1] == "H") || i+1 < len(parts) && parts[i+1] == "ss"
		switch {
		case part == "mm" && !timeOfDay && len(parts) > 1:
			c.doubtOf(n, codeForeign, "write MM for the month", "mm is the minutes, not the month")
		case (part == "MM" || part == "M") && timeOfDay:
			c.doubtOf(n, codeForeign, "write mm for the minutes", "MM is the month, not the minutes")
		default:
			continue
		}
		return
	}
}

// foreignLetters are the letters of patterns of PHP, Go and strftime. A word that has
// no other letters is no text.
const foreignLetters = "dDjmMnyYhHGis"

// foreignWord returns what is wrong with a word of a pattern: letters that other
// languages fill in, or a part inside a word. A T between date and time is text.
func foreignWord(pieces []datetime.Part) (p Problem, foreign bool) {
	word := ""
	for _, piece := range pieces {
		word += piece.Text
	}
	runs := datetime.Runs(word)
	others, unknown := 0, ""
	for i, run := range runs {
		if !datetime.IsPart(run) && (run != "T" || i == 0 || i+1 == len(runs)) {
			others++
			unknown = cmp.Or(unknown, run)
		}
	}
	if unknown == "" {
		return p, false
	}
	// formatDate fills in a part of the word.
	written := slices.ContainsFunc(pieces, func(p datetime.Part) bool { return p.Filled })
	isText := !written && len(runs) > 1 && strings.Trim(word, foreignLetters) != ""
	if isText {
		return p, false
	}
	p = Problem{Code: codeForeign, Message: "%q is no part of a pattern of formatDate", Args: []any{unknown}, Hint: patternHint}
	if written && others > 1 {
		p.Message, p.Args = "formatDate fills in a part of the word %q", []any{word}
		p.Hint = `write a text between single quotes: 'at' HH:mm`
	} else if hint := partHints[unknown[0]]; hint != "" {
		p.Hint = hint
	}
	if !written && strings.Trim(word, foreignLetters) == "" {
		p.Code = codeArgs
	}
	return p, true
}

// partHints are parts of patterns of Java, PHP, Excel, moment.js and strftime, by their
// first letter, with what to write instead.
var partHints = map[byte]string{
	'F': "write MMMM for the name of the month",
	'L': "write MMMM for the name of the month",
	'M': "write M, MM, MMM or MMMM for the month",
	'E': "write EEE or EEEE for the name of the day",
	'e': "write EEE or EEEE for the name of the day",
	'l': "write EEEE for the name of the day",
	'a': "HH is the hour from 00 to 23, without am and pm",
	'A': "HH is the hour from 00 to 23, without am and pm",
	'x': "string(time) writes the time with its offset",
	'X': "string(time) writes the time with its offset",
	'Z': "string(time) writes the time with its offset",
	'z': "string(time) writes the time with its offset",
	'O': "string(time) writes the time with its offset",
	'P': "string(time) writes the time with its offset",
	'D': "write d or dd for the day of the month",
	'j': "write d for the day of the month",
	'd': "write d or dd for the day of the month",
	'Y': "write yyyy or yy for the year",
	'y': "write yyyy or yy for the year",
	'h': "write HH or H for the hour",
	'G': "write H for the hour",
	'k': "write HH or H for the hour",
	'i': "write mm for the minutes",
	'm': "write mm for the minutes",
	's': "write ss for the seconds",
	'S': "formatDate writes no fractions of a second",
}

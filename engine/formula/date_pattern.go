package formula

import (
	"cmp"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// patternHint is what a pattern of formatDate is made of.
const patternHint = `write it with dd, MM, yyyy, yy, HH, mm, ss: "dd.MM.yyyy HH:mm"`

// patternRun is a run of one letter in a pattern of formatDate, such as dd.
type patternRun struct {
	text   string
	filled bool // formatDate fills it in
}

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
	if strings.ContainsAny(n.Value, `'"\`) {
		c.doubtOf(n, codeForeign, "formatDate writes other characters unchanged, so write the text without quotes", "quotes and backslashes of a pattern appear in the text")
		return
	}
	var parts []string
	for _, word := range strings.FieldsFunc(n.Value, func(r rune) bool { return !isASCIILetter(r) }) {
		runs := patternRuns(word)
		if p, foreign := foreignWord(word, runs); foreign {
			p.From, p.To = c.extent(n)
			if p.Code == codeArgs {
				c.add(p)
			} else {
				c.doubt(p)
			}
			return
		}
		for _, run := range runs {
			if run.filled {
				parts = append(parts, run.text)
			}
		}
	}
	if len(parts) == 0 {
		c.errorOf(n, codeArgs, patternHint, "the pattern of formatDate has no part that is filled in")
		return
	}
	c.exchangedParts(n, parts)
}

// exchangedParts warns of minutes in the place of the month, and of the month in the
// place of minutes: minutes follow the hour or precede the seconds.
func (c *checker) exchangedParts(n *ast.StringNode, parts []string) {
	for i, part := range parts {
		timeOfDay := i > 0 && parts[i-1] == "HH" || i+1 < len(parts) && parts[i+1] == "ss"
		switch {
		case part == "mm" && !timeOfDay && len(parts) > 1:
			c.doubtOf(n, codeForeign, "write MM for the month", "mm is the minutes, not the month")
		case part == "MM" && timeOfDay:
			c.doubtOf(n, codeForeign, "write mm for the minutes", "MM is the month, not the minutes")
		default:
			continue
		}
		return
	}
}

// patternRuns cuts a word into runs of one letter.
func patternRuns(word string) []patternRun {
	var runs []patternRun
	for word != "" {
		size := len(word) - len(strings.TrimLeft(word, word[:1]))
		runs = append(runs, patternRun{text: word[:size], filled: patternLayout(word[:size]) != ""})
		word = word[size:]
	}
	return runs
}

// patternLayout returns Go's layout for a part of a pattern, or "".
func patternLayout(part string) string {
	for _, p := range datePatterns {
		if p.name == part {
			return p.layout
		}
	}
	return ""
}

// foreignLetters are the letters of patterns of PHP, Go and strftime. A word that has
// no other letters is no text.
const foreignLetters = "dDjmMnyYhHGis"

// foreignWord returns what is wrong with a word of a pattern: letters that other
// languages fill in, or a part inside a word. A T between date and time is text.
func foreignWord(word string, runs []patternRun) (p Problem, foreign bool) {
	filled, others, unknown := 0, 0, ""
	for i, run := range runs {
		switch {
		case run.filled:
			filled++
		case run.text == "T" && i > 0 && i+1 < len(runs) && runs[i-1].filled && runs[i+1].text == "HH":
		default:
			others++
			unknown = cmp.Or(unknown, run.text)
		}
	}
	isText := filled == 0 && len(runs) > 1 && strings.Trim(word, foreignLetters) != ""
	if unknown == "" || isText {
		return p, false
	}
	p = Problem{Code: codeForeign, Message: "%q is no part of a pattern of formatDate", Args: []any{unknown}, Hint: patternHint}
	if filled > 0 && others > 1 {
		p.Message, p.Args = "formatDate fills in a part of the word %q", []any{word}
		p.Hint = `join the text to it: formatDate(…) + " text"`
	} else if hint := partHints[unknown[0]]; hint != "" {
		p.Hint = hint
	}
	if filled == 0 && strings.Trim(word, foreignLetters) == "" {
		p.Code = codeArgs
	}
	return p, true
}

// partHints are parts of patterns of Java, PHP, Excel, moment.js and strftime, by their
// first letter, with what to write instead.
var partHints = map[byte]string{
	'M': `formatDate writes no names of months: write ["Jan", "Feb", …][monthOf(time) - 1]`,
	'F': `formatDate writes no names of months: write ["Jan", "Feb", …][monthOf(time) - 1]`,
	'L': `formatDate writes no names of months: write ["Jan", "Feb", …][monthOf(time) - 1]`,
	'E': `formatDate writes no names of days: write ["Mon", "Tue", …][weekdayOf(time) - 1]`,
	'e': `formatDate writes no names of days: write ["Mon", "Tue", …][weekdayOf(time) - 1]`,
	'l': `formatDate writes no names of days: write ["Mon", "Tue", …][weekdayOf(time) - 1]`,
	'a': "HH is the hour from 00 to 23, without am and pm",
	'A': "HH is the hour from 00 to 23, without am and pm",
	'x': "string(time) writes the time with its offset",
	'X': "string(time) writes the time with its offset",
	'Z': "string(time) writes the time with its offset",
	'z': "string(time) writes the time with its offset",
	'O': "string(time) writes the time with its offset",
	'P': "string(time) writes the time with its offset",
	'D': "write dd for the day of the month",
	'Y': "write yyyy or yy for the year",
	'h': "write HH for the hour",
	'k': "write HH for the hour",
	'S': "formatDate writes no fractions of a second",
}

func isASCIILetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

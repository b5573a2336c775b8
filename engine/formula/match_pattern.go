package formula

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/expr-lang/expr/ast"
)

const codeASCII = "ascii-pattern"

// delimited matches a pattern as JavaScript and PHP write it: /^VIP/i.
var delimited = regexp.MustCompile(`(?s)^/(\^.*/[a-z]*|.*\$/[a-z]*|.+/[gimsuxy]+|.*\\[dwsb].*/)$`)

// doubtPattern warns of a pattern of matches that is valid and likely wrong.
func (c *checker) doubtPattern(n *ast.StringNode, re *regexp.Regexp, value operand) {
	pattern := n.Value
	switch {
	case strings.ContainsAny(pattern, "\b\a\f\v"):
		c.doubtOf(n, codeForeign, "write the pattern between backquotes: `\\bword`", "in quotes \\b is a control character, not a part of a pattern")
		return
	case delimited.MatchString(pattern):
		c.doubtOf(n, codeForeign, `write the pattern alone, and (?i) before it to ignore case: "(?i)^vip"`, "the slashes around the pattern are a part of it")
		return
	case len(pattern) > 1 && (pattern[0] == '%' || pattern[len(pattern)-1] == '%') && regexp.QuoteMeta(pattern) == pattern:
		c.doubtOf(n, codeForeign, fmt.Sprintf("write text contains %q", strings.Trim(pattern, "%")), "%s in a pattern is the character itself", "%")
		return
	}
	if class := asciiClass(pattern); class != "" {
		hint := `write [\p{L}\p{N}_]`
		if class == `\b` || class == `\B` {
			hint = `write (^|[^\p{L}])word([^\p{L}]|$)`
		}
		c.doubtOf(n, codeASCII, hint, "%s knows only the letters a to z, so other letters do not match", class)
		return
	}
	if prefix, _ := re.LiteralPrefix(); prefix != "" && value.typ.Domain != nil && value.typ.Domain.Code == "" && value.typ.Domain.ExcludesPart != nil {
		if why, hint := value.typ.Domain.ExcludesPart(prefix); !why.Empty() {
			c.doubtOf(n, codeConstant, hint.String(), "nothing matches the pattern, because %s", why)
		}
	}
}

// asciiClass returns \w or \b of a pattern whose text has other letters than a to z, or
// "". A pattern for Latin text, such as a code or an address, is right.
func asciiClass(pattern string) string {
	found, inClass, classKnows := "", false, false
	foreign, latin := false, strings.Contains(pattern, "@")
	wordHere := "" // \w in the open [ ]
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\' && i+1 < len(runes):
			i++
			switch runes[i] {
			case 'w', 'W':
				if inClass {
					wordHere = `\` + string(runes[i])
				} else if found == "" {
					found = `\` + string(runes[i])
				}
			case 'b', 'B':
				if !inClass && (found == "" || found[1] == 'w' || found[1] == 'W') {
					found = `\` + string(runes[i])
				}
			case 'p', 'P': // \p{L} or \pL
				classKnows = true
				if i+1 < len(runes) && runes[i+1] == '{' {
					for i < len(runes) && runes[i] != '}' {
						i++
					}
				} else {
					i++
				}
			}
		case r == '(' && i+1 < len(runes) && runes[i+1] == '?': // flags
			for i < len(runes) && runes[i] != ')' && runes[i] != ':' && runes[i] != '>' {
				i++
			}
		case r == '[' && !inClass:
			inClass, classKnows, wordHere = true, false, ""
		case r == ']' && inClass:
			inClass = false
			if !classKnows && wordHere != "" && found == "" {
				found = wordHere
			}
		case unicode.IsLetter(r) && r > unicode.MaxASCII:
			foreign, classKnows = true, true
		case unicode.IsLetter(r):
			latin = true
		}
	}
	if found == "" || !foreign && (latin || found == `\b` || found == `\B`) {
		return ""
	}
	return found
}

var wordsOrWords = regexp.MustCompile(`^\pL+(\|\pL+)+$`)

// doubtWildcard warns of a part in which wildcards of other languages are plain
// characters.
func (c *checker) doubtWildcard(operator string, n ast.Node) {
	text, ok := n.(*ast.StringNode)
	if !ok {
		return
	}
	switch part := text.Value; {
	case len(part) > 2 && (strings.HasPrefix(part, "*") || strings.HasSuffix(part, "*")) && strings.ContainsFunc(part, isLetterOrDigit) && !strings.Contains(part, "**"):
		c.doubtOf(n, codeForeign, fmt.Sprintf("write %q", strings.Trim(part, "*")), "* is the character itself in %s, not any text", operator)
	case len(part) > 2 && strings.HasPrefix(part, "%") && strings.HasSuffix(part, "%"):
		c.doubtOf(n, codeForeign, fmt.Sprintf("write %q", strings.Trim(part, "%")), "%% is the character itself in %s, not any text", operator)
	case wordsOrWords.MatchString(part):
		c.doubtOf(n, codeForeign, fmt.Sprintf("write text matches %q", part), "| is the character itself in %s, not a choice", operator)
	}
}

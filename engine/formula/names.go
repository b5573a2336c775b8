package formula

import (
	"fmt"
	"regexp"
)

const nameOmit = "omit"

// words are the words of the language that are no functions.
var words = map[string]bool{
	"true": true, "false": true, "nil": true, nameOmit: true,
	"and": true, "or": true, "not": true, "in": true, "let": true, "if": true, "else": true,
	"matches": true, "contains": true, "startsWith": true, "endsWith": true,
}

// builtinNames are the names that the engine gives to a formula.
var builtinNames = map[string]string{
	"event":  "what the rule runs for",
	"inputs": "what the portal's configuration supplies",
	"vars":   "the variables of the file",
	"row":    "the row at hand",
	"index":  "the place of the row at hand",
	"error":  "the error of a failed step",
}

func isWord(name string) bool { return words[name] }

// newFunctions came after rule files could have steps with these names, so they may still
// be names. A call has a bracket, a name has none.
var newFunctions = map[string]bool{
	"capitalize": true, "digits": true, "extract": true, "money": true, "phone": true, "plural": true,
	"padStart": true, "replaceMatch": true, "urlEncode": true, "urlDecode": true, "urlQuery": true, "formatNumber": true,
	"maxBy": true, "minBy": true, "textOf": true, "inWords": true,
	"tryNumber": true, "tryDate": true, "atTime": true, "inZone": true,
	"isWorkday": true, "addWorkdays": true, "workdaysBetween": true, "toWorkTime": true,
}

// isReserved reports whether a name is that of a function and of nothing else.
func isReserved(name string) bool {
	_, isFunction := functions[name]
	return (loops[name] || isFunction) && !newFunctions[name]
}

var (
	namePattern  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	plainPattern = regexp.MustCompile(`^[\pL_][\pL\pN_]*$`)
)

const longestName = 64

func isPlainName(name string) bool { return plainPattern.MatchString(name) }

// CheckName returns why a name cannot be given to a step or to a computed value,
// or nil: it has to look like a name, and must hide nothing.
func CheckName(name string) error {
	switch {
	case len(name) > longestName:
		return fmt.Errorf("the name %.20q… is longer than %d characters", name, longestName)
	case !namePattern.MatchString(name):
		return fmt.Errorf("%q cannot be a name: use small letters, digits and _, starting with a letter", name)
	case isWord(name):
		return fmt.Errorf("%q cannot be a name: it is a word of the formula language", name)
	case isReserved(name):
		return fmt.Errorf("%q cannot be a name: it is a function of the formula language", name)
	case builtinNames[name] != "":
		return fmt.Errorf("%q cannot be a name: it is %s", name, builtinNames[name])
	}
	return nil
}

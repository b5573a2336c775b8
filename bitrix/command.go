package bitrix

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/php"
)

// command is one call on its way.
type command struct {
	call   Call
	params *php.Array // what was given, as it was then
	group  *group
	index  int // in the group

	// alone says that the call cannot be part of a batch. query is what it is
	// there.
	alone bool
	query string
	// late, if not nil, gives the call as it is when the command leaves.
	late func() Call

	repeats   int       // after answers that never came
	refusals  int       // by the rate limit
	notBefore time.Time // when it may be sent
}

const (
	// maxQuery is how long a command of a batch may be: 50 of them are 5 MB.
	maxQuery = 100 << 10
	// maxVars is how many values a command of a batch may have. PHP's parse_str,
	// which takes it apart, drops what is over max_input_vars without a word;
	// its default is 1000. JSON has no such limit.
	maxVars = 900
	// maxNesting is the same for max_input_nesting_level, 64 by default.
	maxNesting = 50
)

// newCommand prepares a call. Its parameters are copied, so that the caller may
// change them when it has given up.
func newCommand(g *group, index int, call Call) (*command, *Error) {
	cmd := &command{call: call, group: g, index: index, params: php.NewArray()}
	if !methodName(call.Method) {
		return cmd, &Error{Code: codeArgument, Detail: "the name of a method is letters, digits, dots and _, such as crm.item.get", Outcome: NotExecuted}
	}
	v, err := php.FromGo(call.Params)
	if err != nil {
		return cmd, &Error{Code: codeArgument, Detail: "the parameters cannot be sent: " + err.Error(), Outcome: NotExecuted, cause: err}
	}
	if a, ok := v.(*php.Array); ok {
		cmd.params = a
	}
	vars := 0
	cmd.alone = unbatchable[strings.ToLower(call.Method)] || !fitsQuery(cmd.params, 1, &vars)
	if !cmd.alone {
		cmd.query = call.Method
		if q := php.BuildQuery(cmd.params); q != "" {
			cmd.query += "?" + q
		}
		cmd.alone = len(cmd.query) > maxQuery
	}
	return cmd, nil
}

// stale says that the call was made of what is too old by now.
func (c *command) stale(now time.Time) bool {
	return !c.call.Fresh.IsZero() && c.call.Fresh.Before(now)
}

// complete asks for the call that leaves. What it says fits a batch.
func (c *command) complete() {
	if c.late == nil {
		return
	}
	call := c.late()
	c.late = nil
	v, err := php.FromGo(call.Params)
	if a, ok := v.(*php.Array); ok && err == nil {
		c.params, c.query = a, call.Method+"?"+php.BuildQuery(a)
	}
}

// unbatchable are methods that a portal refuses inside a batch.
var unbatchable = map[string]bool{"batch": true}

func methodName(s string) bool {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_'
	}
	return s != "" && len(s) <= 100 && strings.IndexFunc(s, bad) < 0
}

// fitsQuery reports whether parameters mean the same in the query string of a
// batch command as in JSON. There, nil and empty lists vanish, true becomes "1"
// (which crm.item.* takes for false), and text such as $result[x] is replaced.
// Numbers and false stay what they are to PHP.
// Source: modules/crm/lib/controller/item.php and rest_provider.php.
func fitsQuery(a *php.Array, depth int, vars *int) bool {
	if depth > maxNesting {
		return false
	}
	for k, v := range a.All() {
		if *vars++; *vars > maxVars || isReference(k) || !fitsKey(k, depth) {
			return false
		}
		switch v := v.(type) {
		case nil:
			return false
		case bool:
			if v {
				return false
			}
		case string:
			if isReference(v) {
				return false
			}
		case *php.Array:
			if v.Len() == 0 || !fitsQuery(v, depth+1, vars) {
				return false
			}
		}
	}
	return true
}

// fitsKey reports whether a key survives PHP's bracket notation.
func fitsKey(k string, depth int) bool {
	if depth == 1 {
		return k != "" && !strings.ContainsAny(k, " .[\x00")
	}
	return strings.TrimSpace(k) != "" && !strings.ContainsAny(k, "]\x00")
}

// isReference reports whether a batch would replace parts of a text by results
// of other commands. What people wrote into a deal's title must stay as it is.
func isReference(s string) bool {
	for rest := s; ; {
		i := strings.IndexByte(rest, '$')
		if i < 0 {
			return false
		}
		rest = rest[i+1:]
		for _, word := range []string{"result", "next", "total", "time", "error"} {
			if len(rest) >= len(word) && strings.EqualFold(rest[:len(word)], word) {
				return true
			}
		}
	}
}

// body is the call as a JSON request of its own.
func (c *command) body() ([]byte, error) {
	if c.params.Len() == 0 {
		return []byte("{}"), nil
	}
	return json.Marshal(c.params)
}

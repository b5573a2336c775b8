package batch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/php"
)

// Command is one REST call on its way to the portal.
type Command struct {
	// Method is the method's name, such as crm.item.get.
	Method string
	// Query is the call as a batch carries it. "" means that a batch cannot carry
	// it and the call needs its own request.
	Query string
	// Params are the parameters for a single request.
	Params *php.Array
	// Write says that the call may change data: it is not repeated when its
	// outcome is unknown.
	Write bool
	// Unordered says that a write may run before or after the other commands of
	// its caller.
	Unordered bool
	// Deadline, if not zero, is the time after which the command is not sent and
	// fails with the reason Stale.
	Deadline time.Time
	// WithNext says that the command goes in the same request as the next one of
	// its caller, unless one of them needs its own request.
	WithNext bool
	// Shared says that the command only reads. Those with one query that leave in one
	// request are sent once, behind the other commands of their callers.
	Shared bool
	// Rank says which commands go first.
	Rank Rank
	// Parallel says that the caller makes other calls at the same time. An idle
	// batcher waits a millisecond for them.
	Parallel bool
	// Urgent, if not nil, reports whether several callers wait for the command.
	// While it does, the command does not wait for others to fill the request.
	Urgent func() bool
	// Late, if not nil, gives the query that the command has when it leaves. It
	// is called once, with the queue locked.
	Late func() (Command, error)
}

// Rank is the order in which commands go. Callers have the rank of their first
// command, or Background if one of their commands has it.
type Rank int8

// The ranks, from the first to the last. The zero value is Normal.
const (
	Probe      Rank = -3 // shows what the portal supports; others wait for it
	Repair     Rank = -2 // puts back what its caller has overwritten
	Immediate  Rank = -1 // several callers wait for it, or its turn had come before
	Normal     Rank = 0
	Background Rank = 1 // travels in the room that the others leave
)

const (
	// maxQuery is how long a command of a batch may be: 50 of them are 5 MB.
	maxQuery = 100 << 10
	// MaxVars is how many values a command of a batch may have. PHP's parse_str,
	// which takes the command apart, silently drops what exceeds max_input_vars;
	// its default is 1000. JSON has no such limit.
	MaxVars = 900
	// maxNesting is the same for max_input_nesting_level, 64 by default.
	maxNesting = 50
)

// NewCommand prepares a call. It copies the parameters, so that the caller may
// change them later.
func NewCommand(method string, params map[string]any) (Command, error) {
	cmd := Command{Method: method, Params: php.NewArray()}
	if !methodName(method) {
		return cmd, errors.New("the name of a method is letters, digits, dots and _, such as crm.item.get")
	}
	v, err := php.FromGo(params)
	if err != nil {
		return cmd, fmt.Errorf("the parameters cannot be sent: %w", err)
	}
	if a, ok := v.(*php.Array); ok {
		cmd.Params = a
	}
	if !unbatchable[strings.ToLower(method)] && FitsQuery(cmd.Params, MaxVars) {
		cmd.Query = method
		if q := php.BuildQuery(cmd.Params); q != "" {
			cmd.Query += "?" + q
		}
		if len(cmd.Query) > maxQuery {
			cmd.Query = ""
		}
	}
	return cmd, nil
}

// Body is the call as a single JSON request.
func (c Command) Body() ([]byte, error) {
	if c.Params.Len() == 0 {
		return []byte("{}"), nil
	}
	return json.Marshal(c.Params)
}

// unbatchable are methods that a portal refuses inside a batch.
var unbatchable = map[string]bool{"batch": true}

func methodName(s string) bool {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_'
	}
	return s != "" && len(s) <= 100 && strings.IndexFunc(s, bad) < 0
}

// FitsQuery reports whether parameters are at most maxVars values and mean the
// same in the query string of a batch command as in JSON. In a query string nil
// and empty lists vanish, true becomes "1" (which crm.item.* takes for false),
// and the portal replaces text such as $result[x]. PHP reads numbers and false
// alike in both.
// Source: modules/crm/lib/controller/item.php and rest_provider.php.
func FitsQuery(params *php.Array, maxVars int) bool { return fitsQuery(params, 1, &maxVars) }

func fitsQuery(a *php.Array, depth int, vars *int) bool {
	if depth > maxNesting {
		return false
	}
	for k, v := range a.All() {
		if *vars--; *vars < 0 || IsReference(k) || !fitsKey(k, depth) {
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
			if IsReference(v) {
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

// IsReference reports whether a batch would replace parts of a text by results
// of other commands. Text that a person wrote into a deal's title must arrive
// unchanged.
func IsReference(s string) bool {
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

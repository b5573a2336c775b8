// Package cause names why runs fail, the same for all runs that fail because of one thing.
package cause

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/run"
)

// Kind is what kind of thing made a run fail.
type Kind string

// The kinds.
const (
	Refused  Kind = "refused"  // the portal refuses a method with a code
	Portal   Kind = "portal"   // the portal as a whole: Code is unreachable, unauthorised or blocked
	Answer   Kind = "answer"   // the portal's answer to a method has another form than documented
	Outside  Kind = "outside"  // another system refuses a request: Code is the HTTP status
	Formula  Kind = "formula"  // a value in the rule file cannot be computed, or has the wrong type
	Limit    Kind = "limit"    // a limit in the rule file: Code is its key
	Cycle    Kind = "cycle"    // rules start each other
	Missing  Kind = "missing"  // the rule names a field or property that the portal does not have
	Kept     Kind = "kept"     // the portal does not keep a value that was written
	Doubling Kind = "doubling" // the step would make again what a rule that the portal does not have has made
	Stopped  Kind = "stopped"  // a step of the rule refuses its values, or is a fail step
	NoRule   Kind = "no-rule"  // the rule is not among the rules of the portal
	Gone     Kind = "gone"     // the portal is not in the configuration
	Timeout  Kind = "timeout"  // a step took longer than its timeout
	Other    Kind = "other"
)

// Cause is why runs fail. It has no ids, numbers, names of portals and texts of errors,
// because these differ between runs that fail because of the same thing. A zero Cause is
// an unknown one, such as of a run that an older version has parked.
type Cause struct {
	Kind   Kind
	Method string // of Refused and Answer
	Code   string // of Refused, Portal, Outside and Limit
	// Rule, File and Step are set if the fault is in the rule file.
	Rule, File, Step string
}

// Of returns the cause of a run's failure.
func Of(err error) Cause {
	var (
		failed *run.RunError
		rest   *bitrix.Error
		status *engine.StatusError
		parked *engine.ParkedError
		placed *engine.PlaceError
	)
	c := Cause{Kind: Other}
	if errors.As(err, &failed) {
		c.Rule, c.File, c.Step = failed.Rule, failed.Pos.File, failed.Step
	}
	switch {
	case errors.As(err, &rest):
		return ofCall(err, rest)
	case errors.As(err, &parked):
		return ofParked(c, parked, errors.As(err, &status), status)
	case errors.As(err, &status):
		c.Kind, c.Code = Outside, strconv.Itoa(status.Status)
	case errors.Is(err, context.DeadlineExceeded):
		c.Kind = Timeout
	case errors.As(err, &placed), failed != nil && failed.Verdict == run.Park:
		c.Kind = Formula // RunError holds the place of a PlaceError
	}
	return c
}

func ofCall(err error, rest *bitrix.Error) Cause {
	if rest.Code != bitrix.CodeBadAnswer {
		// A refusal with its own code, such as ACCESS_DENIED, may have the status 403
		// when the call was no part of a batch.
		code := *rest
		code.Status, err = 0, &code
	}
	switch bitrix.FaultOf(err) {
	case bitrix.Unreachable:
		return Cause{Kind: Portal, Code: "unreachable"}
	case bitrix.Unauthorised:
		return Cause{Kind: Portal, Code: "unauthorised"}
	case bitrix.Blocked:
		return Cause{Kind: Portal, Code: "blocked"}
	case bitrix.NoFault:
	}
	if rest.Code == bitrix.CodeBadAnswer {
		return Cause{Kind: Answer, Method: rest.Method}
	}
	return Cause{Kind: Refused, Method: rest.Method, Code: strings.ToUpper(rest.Code)}
}

func ofParked(c Cause, parked *engine.ParkedError, answered bool, status *engine.StatusError) Cause {
	switch parked.Kind {
	case engine.ParkedByCycle:
		c.Kind = Cycle
	case engine.ParkedByMissing:
		c.Kind = Missing
	case engine.ParkedByLostField:
		c.Kind = Kept
	case engine.ParkedByDoubling:
		c.Kind = Doubling
	case "":
		c.Kind = Stopped
		if answered {
			c.Kind, c.Code = Outside, strconv.Itoa(status.Status)
		}
	default:
		c.Kind, c.Code = Limit, parked.Kind
	}
	return c
}

// separator cannot be in a name.
const separator = "\t"

// String is the stored form of the cause.
func (c Cause) String() string {
	if c == (Cause{}) {
		return ""
	}
	parts := []string{string(c.Kind), c.Method, c.Code, c.Rule, c.File, c.Step}
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(p, separator, " ")
	}
	return strings.TrimRight(strings.Join(parts, separator), separator)
}

// Parse reads the form of String. A text of another form is a zero Cause.
func Parse(text string) Cause {
	parts := strings.Split(text, separator)
	if text == "" || len(parts) > 6 {
		return Cause{}
	}
	parts = append(parts, make([]string, 6-len(parts))...)
	return Cause{Kind: Kind(parts[0]), Method: parts[1], Code: parts[2], Rule: parts[3], File: parts[4], Step: parts[5]}
}

// ID is a short name of a stored cause for people to type.
func ID(stored string) string {
	if stored == "" {
		return "unknown"
	}
	sum := sha256.Sum256([]byte(stored))
	return hex.EncodeToString(sum[:4])
}

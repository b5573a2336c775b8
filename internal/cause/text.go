package cause

import (
	"fmt"
	"strings"
)

// Where says which files and portal a recommendation names.
type Where struct {
	Portal string // the portal's name
	Config string // the place of the portal in the configuration, such as b24rules.yaml:12
	Rule   string // the rule file, with the line if it is known
}

// Known are examples of all causes that have their own title or recommendation, for the
// manual.
func Known() []Cause {
	const method, rule, step = "METHOD", "RULE", "STEP"
	out := []Cause{}
	for _, code := range []string{"ACCESS_DENIED", "INSUFFICIENT_SCOPE", "QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT", "ERROR_METHOD_NOT_FOUND", ""} {
		out = append(out, Cause{Kind: Refused, Method: method, Code: code})
	}
	for _, code := range []string{"unauthorised", "blocked", "unreachable"} {
		out = append(out, Cause{Kind: Portal, Code: code})
	}
	out = append(out, Cause{Kind: Answer, Method: method}, Cause{Kind: Outside, Code: "404", Rule: rule, Step: step}, Cause{Kind: Limit, Code: "delete_limit", Rule: rule, Step: step})
	for _, kind := range []Kind{Formula, Missing, Kept, Stopped, Timeout, Cycle, NoRule, Gone, Other} {
		out = append(out, Cause{Kind: kind, Rule: rule, Step: step})
	}
	return out
}

// Title says in a short sentence what is wrong.
func (c Cause) Title() string {
	switch c.Kind {
	case Refused:
		if c.Code == "" {
			return fmt.Sprintf("the portal refuses %s", c.Method)
		}
		return fmt.Sprintf("the portal refuses %s: %s", c.Method, c.Code)
	case Portal:
		return "the portal is " + c.Code
	case Answer:
		return fmt.Sprintf("the portal's answer to %s has an unknown form", c.Method)
	case Outside:
		return fmt.Sprintf("another system answers %s with status %s", c.step(), c.Code)
	case Formula:
		return fmt.Sprintf("a value of %s cannot be computed", c.step())
	case Limit:
		return fmt.Sprintf("%s stops %s", c.Code, c.step())
	case Cycle:
		return "rules start each other without an end"
	case Missing:
		return fmt.Sprintf("%s names a field that the portal does not have", c.step())
	case Kept:
		return fmt.Sprintf("the portal does not keep a value that %s writes", c.step())
	case Doubling:
		return fmt.Sprintf("%s would make again what another rule has made", c.step())
	case Stopped:
		return fmt.Sprintf("%s stops the run", c.step())
	case NoRule:
		return fmt.Sprintf("rule %s is not among the rules", c.Rule)
	case Gone:
		return "the portal is not in the configuration"
	case Timeout:
		return fmt.Sprintf("%s takes longer than its timeout", c.step())
	case Other:
		return fmt.Sprintf("%s fails", c.step())
	}
	return "unknown cause"
}

// step names the step and the rule.
func (c Cause) step() string {
	if c.Step == "" {
		return "rule " + c.Rule
	}
	return fmt.Sprintf("step %s of rule %s", c.Step, c.Rule)
}

// Advice says what a person can do, and names the file or the portal that is wrong. It
// is "" if nothing is known.
func (c Cause) Advice(w Where) string {
	config, rule := w.Config, w.Rule
	if config == "" {
		config = "the configuration"
	}
	if rule == "" {
		rule = "the rule file"
	}
	portal := "portal " + w.Portal
	switch c.Kind {
	case Refused:
		return c.refused(portal, rule)
	case Portal:
		return c.down(portal, config)
	case Answer:
		return fmt.Sprintf("The answer of %s differs from the documentation, so nothing was changed. Replay the run. If it fails again, look at the answer (log: {dump: true}).", portal)
	case Outside:
		return fmt.Sprintf("The other system refuses the request. Fix it there, or the step in %s. Then replay.", rule)
	case Formula:
		return fmt.Sprintf("Fix %s, run b24rules validate, and replay: this runs the current rule. If the value in the portal is wrong, fix it in %s and replay.", rule, portal)
	case Limit:
		return fmt.Sprintf("A limit stopped the run before it wrote too much. Check in %s whether the number is right. If so, raise %s in %s, which serve reads again at once, and replay.", portal, c.Code, rule)
	case Cycle:
		return fmt.Sprintf("Check what the last runs wrote (b24rules runs list). Then change one of the rules, for example in %s, so that it writes only differences, or add a condition.", rule)
	case Missing:
		return fmt.Sprintf("Fix the name in %s, or add the field in %s. Then replay: this runs the current rule.", rule, portal)
	case Kept:
		return fmt.Sprintf("Something in %s changes the value back, such as a robot or another program, or the field takes no such value. Fix it there, or remove the field from %s. Then replay.", portal, rule)
	case Doubling:
		return fmt.Sprintf("If the rule had another id or owner before, write it as moved or owner in %s, and replay. Otherwise take the records over with b24rules adopt, or delete them in %s.", rule, portal)
	case Stopped:
		return fmt.Sprintf("Fix the value in %s, or the step in %s. Then replay: this runs the current rule.", portal, rule)
	case NoRule:
		return fmt.Sprintf("The rule's file was removed, has errors (run b24rules validate), or %s does not use it. When the rule is back, replay.", config)
	case Gone:
		return fmt.Sprintf("Add %s to %s again and replay, or discard.", portal, config)
	case Timeout:
		return fmt.Sprintf("Raise timeout in %s, or find out why %s is slow. Then replay.", rule, portal)
	case Other:
	}
	return ""
}

func (c Cause) refused(portal, rule string) string {
	switch c.Code {
	case "ACCESS_DENIED", "USER_ACCESS_ERROR":
		return fmt.Sprintf("The owner of the inbound webhook has no permission for this in %s. Give that user access to the deal, item or list in Bitrix24, then replay.", portal)
	case "INSUFFICIENT_SCOPE":
		return fmt.Sprintf("The inbound webhook of %s lacks a scope. Edit it in Bitrix24 (crm and lists, and those that other methods need), then replay.", portal)
	case "QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT":
		return fmt.Sprintf("The rate limit of %s is used up, by b24rules or by other applications. The run continues automatically when the portal allows it.", portal)
	case "ERROR_METHOD_NOT_FOUND":
		return fmt.Sprintf("The portal does not have the method %s. Fix the name in %s, or add the scope to the inbound webhook of %s. Then replay.", c.Method, rule, portal)
	}
	return fmt.Sprintf("The error says why the portal refused %s. Fix it in %s, or the step in %s. Then replay.", c.Method, portal, rule)
}

func (c Cause) down(portal, config string) string {
	switch c.Code {
	case "unauthorised":
		return fmt.Sprintf("The portal does not accept the credentials: the inbound webhook was deleted, its code is wrong, or the portal was renamed. Make a new webhook in Bitrix24 and write it to %s (%s). The waiting runs start then.", config, portal)
	case "blocked":
		return fmt.Sprintf("Bitrix24 has blocked REST for %s because of overload. Only its support can unblock it. Runs wait until then.", portal)
	}
	return fmt.Sprintf("%s does not answer, or answers with a page instead of REST. Its runs start when it works again. Replay a run that is parked.", strings.ToUpper(portal[:1])+portal[1:])
}

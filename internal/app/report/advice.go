package report

import (
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/internal/queue"
)

// advices are recommendations for errors by a part of their text; the first that
// matches applies. The queue stores errors as text.
var advices = [...]struct {
	holds []string
	text  string
}{
	{
		[]string{"ACCESS_DENIED", "USER_ACCESS_ERROR", "Access denied"},
		"The owner of the inbound webhook has no permission for this in the portal. Give that user access to the deal, item or list in Bitrix24, then replay.",
	},
	{
		[]string{"insufficient_scope", "INSUFFICIENT_SCOPE"},
		"The inbound webhook lacks a scope. Edit it in Bitrix24 (crm and lists, and those that other methods need), then replay.",
	},
	{
		[]string{"INVALID_CREDENTIALS", "NO_AUTH_FOUND", "invalid_token", "INVALID_TOKEN", "expired_token"},
		"The portal does not accept the inbound webhook: it was deleted, or its code is wrong. Create a new one, write it to the configuration and restart serve. The waiting runs start then.",
	},
	{
		[]string{"OVERLOAD_LIMIT"},
		"The portal has blocked REST because of overload. Only Bitrix24's support can unblock it. Runs wait until then.",
	},
	{
		[]string{"PORTAL_MOVED"},
		"The portal was renamed. Write the new address to the configuration and restart serve. The waiting runs start then.",
	},
	{
		[]string{"QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT"},
		"The portal's rate limit is used up, by b24rules or by other applications. The run continues automatically when the portal allows it.",
	},
	{
		[]string{": NETWORK:", "BAD_ANSWER", "no answer within"},
		"The portal could not be reached, or its answer was not JSON. Its runs start when it works again. Replay a run that is parked.",
	},
	{
		[]string{"would delete"},
		"A limit stopped the deletions. Check whether the rows were really deleted. If so, raise delete_limit in the rule file, which serve reads again at once, and replay.",
	},
	{
		[]string{"form a cycle"},
		"Rules keep triggering each other. Check what the last runs wrote (b24rules runs list). Then change one of the rules so that it writes only differences, or add a condition.",
	},
	{
		[]string{"is not among the rules"},
		"The rule's file was removed or has errors: run b24rules validate. When the rule is available again, replay.",
	},
	{
		[]string{"is no longer in the configuration"},
		"The portal was removed from the configuration. Add it again and replay, or discard.",
	},
	{
		[]string{"have no field", "has no property", "ERROR_METHOD_NOT_FOUND"},
		"The rule names something that the portal does not have. Fix the rule or the portal, then replay: this runs the current rule.",
	},
	{
		[]string{"REST commands, but its limit is"},
		"The run needed more REST commands than limits.calls of the rule allows. If this number is correct, raise the limit and replay.",
	},
}

// advice returns the recommendation for an error, or "".
func advice(text string) string {
	for _, a := range advices {
		for _, h := range a.holds {
			if strings.Contains(text, h) {
				return a.text
			}
		}
	}
	if strings.Contains(text, ".yaml:") {
		return "The error names the line in the rule file. Fix it, run b24rules validate, and replay: this runs the current rule."
	}
	return ""
}

// next prints recommendations and commands.
func (t *runWriter) next(st *Run) {
	r := st.Listed
	var lines []string
	if l := st.Later; l != nil && r.State == queue.Parked {
		switch l.State {
		case queue.Succeeded:
			lines = append(lines, fmt.Sprintf("Run %d of the same rule and entity succeeded later, at %s, with a newer state. No action is needed.", l.ID, t.dateTime(l.Finished)))
		default:
			lines = append(lines, fmt.Sprintf("Run %d of the same rule and entity is newer and is %s.", l.ID, l.State))
		}
	}
	if r.State == queue.Parked || r.State == queue.Waiting && r.Error != "" {
		if hint := advice(r.Error); hint != "" {
			lines = append(lines, hint)
		}
	}
	var commands [][2]string
	id := fmt.Sprint(r.ID)
	if r.State == queue.Parked || r.State == queue.Discarded {
		commands = append(commands, [2]string{"b24rules runs replay " + id, "run it again, with the current rule and entity"})
	}
	if r.State == queue.Parked || r.State == queue.Waiting {
		commands = append(commands, [2]string{"b24rules runs discard " + id, "discard it"})
	}
	for _, p := range st.Pauses {
		commands = append(commands, [2]string{"b24rules runs resume" + pauseArgs(p), "end the pause"})
	}
	for _, h := range st.Holds {
		ends, ask := "when the portal answers again", "ask the portal now instead of at the next probe"
		if h.Rule != "" {
			ends, ask = "when the rule is no longer "+h.Cause, "look now instead of at the next probe"
		}
		lines = append(lines, "The run waits without losing attempts. It starts "+ends+".")
		commands = append(commands, [2]string{"b24rules runs resume" + pauseArgs(queue.Pause{Portal: h.Portal, Rule: h.Rule}), ask})
	}
	if len(lines) == 0 && len(commands) == 0 {
		return
	}
	t.WriteString("\n" + t.in(bold, "what to do") + "\n")
	for _, l := range lines {
		t.WriteString("  ")
		t.wrapped(2, l)
	}
	for _, c := range commands {
		line := c[0] + t.options.ConfigFlag
		if len(line) > 36 {
			fmt.Fprintf(t, "  %s\n      ", line)
			t.wrapped(6, c[1])
			continue
		}
		fmt.Fprintf(t, "  %-36s ", line)
		t.wrapped(39, c[1])
	}
}

func pauseArgs(p queue.Pause) string {
	out := ""
	if p.Portal != "" {
		out += " --portal " + p.Portal
	}
	if p.Rule != "" {
		out += " --rule " + p.Rule
	}
	return out
}

package report

import (
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/internal/queue"
)

// advices say what usually helps, by what an error's text holds; the first that
// fits is given. The queue keeps errors as text.
var advices = [...]struct {
	holds []string
	text  string
}{
	{
		[]string{"ACCESS_DENIED", "USER_ACCESS_ERROR", "Access denied"},
		"The portal does not let the owner of the inbound webhook do this. Give that user the right to the deal, item or list in Bitrix24, then replay.",
	},
	{
		[]string{"insufficient_scope", "INSUFFICIENT_SCOPE"},
		"The inbound webhook lacks a scope. Edit it in Bitrix24 (it needs crm and lists, and what other methods want), then replay.",
	},
	{
		[]string{"INVALID_CREDENTIALS", "NO_AUTH_FOUND", "invalid_token", "INVALID_TOKEN", "expired_token"},
		"The portal does not accept the inbound webhook: it was deleted, or its code is wrong. Make a new one, put it into the configuration, restart serve, then replay all parked runs of the portal.",
	},
	{
		[]string{"OVERLOAD_LIMIT"},
		"The portal has blocked REST because of overload. Only Bitrix24's support can lift that; runs wait until then.",
	},
	{
		[]string{"PORTAL_MOVED"},
		"The portal was renamed. Put the new address into the configuration, restart serve, then replay all parked runs of the portal.",
	},
	{
		[]string{"QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT"},
		"The portal's limits are used up, by us or by other applications. The run goes on by itself when the portal allows it.",
	},
	{
		[]string{": NETWORK:", "BAD_ANSWER", "no answer within"},
		"The portal could not be reached or answered no JSON. When it is back, replay all parked runs of the portal.",
	},
	{
		[]string{"would delete"},
		"A brake held the deletions back. Look whether the rows are really gone. If they are, raise delete_limit in the rule, which is read again at once, and replay.",
	},
	{
		[]string{"form a cycle"},
		"Rules keep triggering each other. Look at what the last runs wrote (b24rules runs list), and let one of the rules write only what differs or give it a condition.",
	},
	{
		[]string{"is not among the rules"},
		"The rule's file was removed or is broken: b24rules validate tells. When the rule is back, replay.",
	},
	{
		[]string{"is no longer in the configuration"},
		"The portal was taken out of the configuration. Put it back and replay, or discard.",
	},
	{
		[]string{"have no field", "has no property", "ERROR_METHOD_NOT_FOUND"},
		"The rule names something that the portal does not have. Mend the rule or the portal, then replay: it takes the rule as it is then.",
	},
	{
		[]string{"REST commands, but its limit is"},
		"The run wanted more REST commands than limits.calls of the rule allows. Raise it if that is right, and replay.",
	},
}

// advice is what usually helps against an error; "" when nothing is known.
func advice(text string) string {
	for _, a := range advices {
		for _, h := range a.holds {
			if strings.Contains(text, h) {
				return a.text
			}
		}
	}
	if strings.Contains(text, ".yaml:") {
		return "The error names the place in the rule file. Mend it, check it with b24rules validate, and replay: that takes the rule as it is then."
	}
	return ""
}

// next says what can be done.
func (t *runWriter) next(st *Run) {
	r := st.Listed
	var lines []string
	if l := st.Later; l != nil && r.State == queue.Parked {
		switch l.State {
		case queue.Succeeded:
			lines = append(lines, fmt.Sprintf("Run %d of the same rule and entity has succeeded since, at %s, with the state of then: nothing is left to do here.", l.ID, t.dateTime(l.Finished)))
		default:
			lines = append(lines, fmt.Sprintf("Run %d of the same rule and entity came later and is %s.", l.ID, l.State))
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
		commands = append(commands, [2]string{"b24rules runs replay " + id, "run it again, with the rule and the entity as they are now"})
	}
	if r.State == queue.Parked || r.State == queue.Waiting {
		commands = append(commands, [2]string{"b24rules runs discard " + id, "give it up"})
	}
	for _, p := range st.Pauses {
		commands = append(commands, [2]string{"b24rules runs resume" + pauseArgs(p), "lift the pause"})
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

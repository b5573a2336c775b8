package report

import (
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// next prints recommendations and commands.
func (t *runWriter) next(st *Run) {
	r := st.Listed
	var lines []string
	if l := st.Later; l != nil && r.State == journal.Parked {
		switch l.State {
		case journal.Succeeded:
			lines = append(lines, fmt.Sprintf("Run %d of the same rule and entity succeeded later, at %s, with a newer state. No action is needed.", l.ID, t.dateTime(l.Finished)))
		default:
			lines = append(lines, fmt.Sprintf("Run %d of the same rule and entity is newer and is %s.", l.ID, l.State))
		}
	}
	if r.State == journal.Parked || r.State == journal.Waiting && r.Error != "" {
		if hint := cause.Parse(r.Cause).Advice(t.options.Known.where(r.Portal, r.Place())); hint != "" {
			lines = append(lines, hint)
		}
	}
	var commands [][2]string
	id := fmt.Sprint(r.ID)
	if r.State == journal.Parked || r.State == journal.Discarded {
		commands = append(commands, [2]string{"b24rules runs replay " + id, "run it again, with the current rule and entity"})
	}
	if r.State == journal.Parked || r.State == journal.Waiting || r.State == journal.Asleep {
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

// Place returns the place in the rule file that the error of a run names, or the rule
// file.
func (r *Listed) Place() string {
	if place, _, ok := strings.Cut(r.Error, ": rule "+r.Rule+", step "); ok {
		return strings.TrimPrefix(place[strings.LastIndex(place, ": ")+1:], " ")
	}
	if r.Record != nil {
		return r.Record.File
	}
	return ""
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

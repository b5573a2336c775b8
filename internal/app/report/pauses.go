package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/b24rules/b24rules/internal/queue"
)

// PausesOf returns the pauses that stop the runs of a rule in a portal.
func PausesOf(all []queue.Pause, portal, rule string) []queue.Pause {
	return slices.DeleteFunc(all, func(p queue.Pause) bool {
		return p.Portal != "" && p.Portal != portal || p.Rule != "" && p.Rule != rule
	})
}

// Paused names the portal and the rule of a pause.
func Paused(portal, rule string) string {
	switch {
	case portal == "":
		return fmt.Sprintf("rule %s in all portals", rule)
	case rule == "":
		return fmt.Sprintf("portal %s", portal)
	}
	return fmt.Sprintf("rule %s in portal %s", rule, portal)
}

// PauseText describes a pause in a line.
func PauseText(p queue.Pause) string {
	text := fmt.Sprintf("%s is paused since %s", Paused(p.Portal, p.Rule), p.Since.Local().Format(time.DateTime))
	if p.Reason != "" {
		text += ": " + OneLine(p.Reason)
	}
	return text
}

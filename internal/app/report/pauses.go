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
	if set, ok := queue.SetOf(rule); ok {
		return fmt.Sprintf("rule set %s in portal %s", set, portal)
	}
	return fmt.Sprintf("rule %s in portal %s", rule, portal)
}

// PauseText describes a pause in a line, with times of a zone.
func PauseText(p queue.Pause, zone *time.Location) string {
	text := fmt.Sprintf("%s is paused since %s", Paused(p.Portal, p.Rule), inZone(p.Since, zone).Format(time.DateTime))
	if p.Reason != "" {
		text += ": " + OneLine(p.Reason)
	}
	return text
}

// HoldText describes a hold in a line, with times of a zone.
func HoldText(h queue.Hold, zone *time.Location) string {
	return fmt.Sprintf("%s is %s since %s: %s", Paused(h.Portal, h.Rule), h.Cause, inZone(h.Since, zone).Format(time.DateTime), OneLine(h.Reason))
}

// HoldsOf returns the holds that stop the runs of a rule in a portal.
func HoldsOf(all []queue.Hold, portal, rule string) []queue.Hold {
	return slices.DeleteFunc(all, func(h queue.Hold) bool {
		return h.Portal != portal || h.Rule != "" && h.Rule != rule
	})
}

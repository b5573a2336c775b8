package formula

import (
	"fmt"
	"time"

	"github.com/b24rules/b24rules/engine/datetime"
)

// Locale is what the formulas of a run know of the portal. The zero Locale is a portal
// in UTC whose language is English and whose calendar is datetime.Standard.
type Locale struct {
	// Zone is the portal's time zone. Nil leaves times unchanged; a day starts in UTC then.
	Zone *time.Location
	// Language is that of names of months and of numbers; "" is English.
	Language datetime.Language
	// Calendar returns the portal's calendar of work. It is called when a formula first
	// needs it in a run, and may ask the portal. Nil means datetime.Standard.
	Calendar func() (*datetime.Calendar, error)
	// Choice returns the text of a choice by its id. It is called when a formula calls
	// textOf, and may ask the portal. Nil means that there is no portal.
	Choice func(of Choice, id string) (string, error)
}

// In makes the machine evaluate formulas for a portal. It returns the machine.
func (m *Machine) In(l Locale) *Machine {
	m.portal, m.work = l, nil
	return m
}

// locale returns the portal for which a machine works. A constant is evaluated without
// a machine.
func (m *Machine) locale() Locale {
	if m == nil {
		return Locale{}
	}
	return m.portal
}

// calendar returns the portal's calendar of work.
func (m *Machine) calendar() (*datetime.Calendar, error) {
	if m.work != nil {
		return m.work, nil
	}
	calendar := datetime.Standard()
	if m.portal.Calendar != nil {
		var err error
		if calendar, err = m.portal.Calendar(); err != nil {
			return nil, fmt.Errorf("the portal's calendar cannot be read: %w", err)
		}
	}
	m.work = calendar
	return calendar, nil
}

// zoneFor returns the zone in which a time of day is meant: that of the time, or the
// portal's for a day.
func (m *Machine) zoneFor(t time.Time) *time.Location {
	if zone := m.locale().Zone; datetime.IsDay(t) || zone == nil {
		return zone
	}
	return t.Location()
}

// language returns the language that an argument names, or that of the portal when the
// argument is missing.
func (m *Machine) language(args []any, i int) (datetime.Language, error) {
	if i >= len(args) {
		return m.locale().Language, nil
	}
	name, err := text(args[i])
	if err != nil {
		return "", err
	}
	for _, l := range datetime.Languages() {
		if string(l) == name {
			return l, nil
		}
	}
	return "", fmt.Errorf("unknown language %.20q: write \"ru\" or \"en\"", name)
}

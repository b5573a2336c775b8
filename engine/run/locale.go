package run

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/formula"
)

// Calendar reads a portal's calendar of work when a formula first needs it, and keeps it
// for a day. It is for concurrent use. The zero Calendar is ready for use.
type Calendar struct {
	// Dates are days of one year that are working days or not, whatever the portal says.
	// The keys are days in the form 2026-01-31.
	Dates map[string]bool

	mu   sync.Mutex
	read time.Time
	kept *datetime.Calendar
}

// calendarAge is how long a calendar is kept.
const calendarAge = 24 * time.Hour

// of returns the calendar of a portal.
func (c *Calendar) of(ctx context.Context, p engine.Portal) (*datetime.Calendar, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept != nil && time.Since(c.read) < calendarAge {
		return c.kept, nil
	}
	a := p.Do(ctx, bitrix.Call{Method: "calendar.settings.get"})[0]
	if a.Err != nil {
		return nil, a.Err
	}
	var settings map[string]any
	if err := json.Unmarshal(a.Result, &settings); err != nil {
		return nil, engine.ParkError("the answer of calendar.settings.get is not a record")
	}
	calendar, err := datetime.FromSettings(settings)
	if err != nil {
		return nil, err
	}
	calendar.Dates = maps.Clone(c.Dates)
	c.kept, c.read = calendar, time.Now()
	return calendar, nil
}

// locale returns what the formulas of the run know of the portal.
func (x *execution) locale(ctx context.Context) formula.Locale {
	calendar := x.run.Calendar
	if calendar == nil {
		calendar = &Calendar{}
	}
	return formula.Locale{
		Zone: x.run.Zone, Language: x.run.Language, Choice: choices(ctx, x),
		Calendar: func() (*datetime.Calendar, error) { return calendar.of(ctx, x.portal(nil)) },
	}
}

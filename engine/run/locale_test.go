package run_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// calendarPortal answers calendar.settings.get and counts the calls.
type calendarPortal struct {
	engine.Portal
	answer string
	asked  int
}

func (p *calendarPortal) Do(_ context.Context, calls ...bitrix.Call) []bitrix.Answer {
	out := make([]bitrix.Answer, len(calls))
	for i, c := range calls {
		if c.Method == "calendar.settings.get" {
			p.asked++
			out[i].Result = json.RawMessage(p.answer)
		} else {
			out[i].Result = json.RawMessage(`{}`)
		}
	}
	return out
}

func TestCalendar(t *testing.T) {
	const steps = `
      - id: next
        compute: {day: '=string(addWorkdays(date("2026-05-08"), 1))', again: '=isWorkday(date("2026-05-10"))'}
      - save: {entityTypeId: 2, extra: {day: =day, again: =again}}
`
	portal := &calendarPortal{answer: `{"work_time_start": "9", "week_holidays": ["SU"], "year_holidays": "9.05"}`}
	r := enginetest.DealRun()
	r.Client, r.Calendar = portal, &run.Calendar{Dates: map[string]bool{"2026-05-11": false}}
	for range 2 {
		_, saved, err := enginetest.RunSteps(t, steps, r)
		if err != nil || len(saved) != 1 || saved[0].Extra["day"] != "2026-05-12" || saved[0].Extra["again"] != false {
			t.Errorf("got %+v, %v, want May 12: May 9 and 11 are holidays, May 10 is a Sunday", saved, err)
		}
	}
	if portal.asked != 1 {
		t.Errorf("the calendar was read %d times in two runs, want once", portal.asked)
	}

	for _, answer := range []string{`null`, `[]`, `{}`, `{"work_time_start": "late", "week_holidays": []}`} {
		r.Client, r.Calendar = &calendarPortal{answer: answer}, nil
		if _, _, err := enginetest.RunSteps(t, steps, r); err == nil || !strings.Contains(err.Error(), "calendar") {
			t.Errorf("the answer %s: %v, want an error about the calendar", answer, err)
		}
	}
}

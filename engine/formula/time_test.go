package formula_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/formula"
)

// inYekaterinburg is a portal five hours east of Greenwich, whose server is in Moscow.
func inYekaterinburg(t testing.TB) formula.Locale {
	t.Helper()
	zone, err := datetime.Zone("Asia/Yekaterinburg")
	if err != nil {
		t.Fatal(err)
	}
	return formula.Locale{Zone: zone, Language: datetime.Russian, Calendar: func() (*datetime.Calendar, error) {
		return datetime.FromSettings(map[string]any{"work_time_start": "10", "week_holidays": []any{"SU"}, "year_holidays": "1.05"})
	}}
}

func TestTimes(t *testing.T) {
	portal := inYekaterinburg(t)
	env := formula.Env{Vars: map[string]formula.Type{
		"event": formula.RecordOf(map[string]formula.Type{"time": dateTime}), "thing": {}, "s": text,
		"due":     {Kind: formula.String, Domain: &formula.Domain{Date: datetime.DayText}},
		"created": {Kind: formula.String, Domain: &formula.Domain{Date: datetime.TimeText}},
	}}
	vars := map[string]any{
		"event": map[string]any{"time": time.Date(2026, 4, 30, 12, 0, 0, 0, portal.Zone)},
		"thing": "2026-05-31T03:00:00+03:00", "s": "30.04.2026 09:15",
		"due": "2026-04-30T03:00:00+03:00", "created": "2026-04-30T00:00:00+03:00",
	}
	tests := []struct{ src, want string }{
		// a date field is a day, a field with a time is a moment in the portal's zone
		{"date(due)", "2026-04-30"},
		{"date(created)", "2026-04-30T02:00:00+05:00"},
		{"date(thing)", "2026-05-31"},
		{"date(s)", "2026-04-30T09:15:00+05:00"},
		{"date(due, 'Europe/Riga')", "2026-04-30T03:00:00+03:00"},
		{"date(due) == event.time", "true"},
		{"date(due) < event.time", "false"},
		{"daysBetween(event.time, date(thing))", "31"},
		{"hourOf(date(created))", "2"},
		// moved
		{"addDays(date(due), -30)", "2026-03-31"},
		{"atTime(addDays(date(due), -30), '09:00')", "2026-03-31T09:00:00+05:00"},
		{"atTime(date(created), '09:00')", "2026-04-30T09:00:00+05:00"},
		{"atTime(inZone(date(created), 'America/New_York'), '09:00')", "2026-04-29T09:00:00-04:00"},
		{"addHours(date(due), 9)", "2026-04-30T09:00:00+05:00"},
		{"inZone(date(due), 'Europe/Riga')", "2026-04-30T00:00:00+03:00"},
		// by the portal's calendar
		{"isWorkday(date('2026-05-01'))", "false"},
		{"isWorkday(date('2026-05-02'))", "true"},
		{"addWorkdays(date(due), 1)", "2026-05-02"},
		{"addWorkdays(event.time, -1)", "2026-04-29T12:00:00+05:00"},
		{"workdaysBetween(date(due), date(thing))", "25"},
		{"toWorkTime(event.time)", "2026-04-30T12:00:00+05:00"},
		{"toWorkTime(addHours(event.time, 6))", "2026-05-02T10:00:00+05:00"},
		{"toWorkTime(date(due))", "2026-04-30T10:00:00+05:00"},
		// written
		{"formatDate(date(due), 'd MMMM yyyy')", "30 апреля 2026"},
		{"formatDate(event.time, 'EEEE, d MMMM', 'en')", "Thursday, 30 April"},
		{"string(date(due))", "2026-04-30"},
		{"tryDate('never') ?? date(due)", "2026-04-30"},
		{"tryDate(due) ?? event.time", "2026-04-30"},
		{"len(uniq([date(due), date('30.04.2026')]))", "1"},
		{"formatDate(max(date(due), date(thing)), 'dd.MM')", "31.05"},
	}
	for _, tt := range tests {
		f, problems := formula.Compile(tt.src, env)
		if problems != nil {
			t.Errorf("%s: %+v", tt.src, problems)
			continue
		}
		v, err := f.Eval(formula.NewMachine(t.Context()).In(portal), vars)
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		if got, err := formula.ToText(v); err != nil || got != tt.want {
			t.Errorf("%s = %s, %v, want %s", tt.src, got, err, tt.want)
		}
	}
}

// TestCalendarFails: what the portal says about its calendar is the cause of the error.
func TestCalendarFails(t *testing.T) {
	down := errors.New("the portal is down")
	f, problems := formula.Compile("isWorkday(event.time)", testEnv)
	if problems != nil {
		t.Fatal(problems)
	}
	m := formula.NewMachine(t.Context()).In(formula.Locale{Calendar: func() (*datetime.Calendar, error) { return nil, down }})
	if v, err := f.Eval(m, testVars()); !errors.Is(err, down) || !strings.Contains(err.Error(), "calendar cannot be read") {
		t.Errorf("%v, %v", v, err)
	}
}

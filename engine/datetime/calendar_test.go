package datetime_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/engine/datetime"
)

// russia is the answer of a portal, and May 9 of 2026 a Saturday on which people work.
func russia(t testing.TB) *datetime.Calendar {
	t.Helper()
	c, err := datetime.FromSettings(map[string]any{
		"work_time_start": "9.30", "work_time_end": "18", "week_holidays": []any{"SA", "SU"},
		"year_holidays": "1.01,2.01,7.01,23.02,8.03,1.05,9.05,12.06,4.11", "year_workdays": "31.12",
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Dates = map[string]bool{"2026-05-09": true, "2026-05-11": false}
	return c
}

func TestSettings(t *testing.T) {
	c := russia(t)
	if c.Open != 9*3600+1800 || c.Close != 18*3600 {
		t.Errorf("hours %d to %d", c.Open, c.Close)
	}
	for text, want := range map[string]bool{
		"2026-01-01": false, "2027-01-01": false, "2026-05-08": true, "2026-05-09": true, "2026-05-10": false, "2026-05-11": false,
		"2027-12-31": true, "2026-12-31": true, "2028-12-31": true /* a Sunday */, "2026-11-29": false, "2026-11-30": true,
	} {
		if got := c.IsWorkday(day(t, text)); got != want {
			t.Errorf("IsWorkday(%s) = %t", text, got)
		}
	}
	if _, err := datetime.FromSettings(map[string]any{"work_time_start": "9", "week_holidays": "SA|SU"}); err != nil {
		t.Errorf("week_holidays as one text: %v", err)
	}
	for name, settings := range map[string]map[string]any{
		"nothing":     {},
		"an hour":     {"work_time_start": "morning"},
		"hours":       {"work_time_start": "18", "work_time_end": "9"},
		"a day":       {"work_time_start": "9", "week_holidays": []any{"Saturday"}},
		"a list":      {"work_time_start": "9", "week_holidays": true},
		"a holiday":   {"work_time_start": "9", "year_holidays": "1 January"},
		"no holiday":  {"work_time_start": "9", "year_holidays": "31.02"},
		"holidays":    {"work_time_start": "9", "year_holidays": []any{"1.01"}},
		"a minute":    {"work_time_start": "9.75"},
		"the 25 hour": {"work_time_end": "25", "week_holidays": []any{}},
	} {
		if c, err := datetime.FromSettings(settings); err == nil {
			t.Errorf("%s: %+v, want an error", name, c)
		}
	}
}

func TestWorkTime(t *testing.T) {
	c, msk := russia(t), zone(t, "Europe/Moscow")
	at := func(text string) time.Time { return timeIn(t, text, "Europe/Moscow") }
	for _, tt := range []struct {
		t    time.Time
		want string
	}{
		{at("2026-11-30 12:00"), "2026-11-30T12:00:00+03:00"},
		{at("2026-11-30 09:30"), "2026-11-30T09:30:00+03:00"},
		{at("2026-11-30 09:29"), "2026-11-30T09:30:00+03:00"},
		{at("2026-11-30 18:00"), "2026-12-01T09:30:00+03:00"},
		{at("2026-11-27 20:00"), "2026-11-30T09:30:00+03:00"},
		{at("2026-05-09 20:00"), "2026-05-12T09:30:00+03:00"},
		{day(t, "2026-11-29"), "2026-11-30T09:30:00+03:00"},
		{day(t, "2026-11-30"), "2026-11-30T09:30:00+03:00"},
		// 22:00 in UTC is 01:00 of Tuesday in Moscow
		{time.Date(2026, 11, 30, 22, 0, 0, 0, time.UTC), "2026-12-01T09:30:00+03:00"},
	} {
		got, err := c.ToWorkTime(tt.t, msk)
		if err != nil || datetime.Text(got) != tt.want {
			t.Errorf("ToWorkTime(%s) = %s, %v, want %s", tt.t, datetime.Text(got), err, tt.want)
		}
	}
	for _, tt := range []struct {
		t    time.Time
		n    int
		want string
	}{
		{day(t, "2026-11-28"), 1, "2026-11-30"},
		{day(t, "2026-11-28"), -1, "2026-11-27"},
		{day(t, "2026-11-28"), 0, "2026-11-28"},
		{day(t, "2026-12-30"), 2, "2027-01-04"},
		{day(t, "2026-05-12"), -3, "2026-05-07"},
		{at("2026-11-27 23:15"), 1, "2026-11-30T23:15:00+03:00"},
	} {
		got, err := c.AddWorkdays(tt.t, tt.n)
		if err != nil || datetime.Text(got) != tt.want {
			t.Errorf("AddWorkdays(%s, %d) = %s, %v, want %s", tt.t, tt.n, datetime.Text(got), err, tt.want)
		}
	}
	idle := &datetime.Calendar{Weekend: [7]bool{true, true, true, true, true, true, true}}
	if _, err := idle.AddWorkdays(day(t, "2026-11-28"), 1); err == nil || !strings.Contains(err.Error(), "no working day") {
		t.Errorf("a calendar without working days: %v", err)
	}
	if _, err := idle.ToWorkTime(day(t, "2026-11-28"), nil); err == nil {
		t.Error("ToWorkTime of a calendar without working days has no error")
	}
}

// TestWorkdaysBetweenUndoesAddWorkdays: the count from a time to itself moved by n
// working days is n, also over holidays, years and changes of the clocks.
func TestWorkdaysBetweenUndoesAddWorkdays(t *testing.T) {
	c, r := russia(t), rand.New(rand.NewPCG(3, 4))
	riga := zone(t, "Europe/Riga")
	for range 2000 {
		at := time.Unix(r.Int64N(4e9), 0).In(riga)
		if r.IntN(2) == 0 {
			at = datetime.DayOf(at)
		}
		n := r.IntN(400) - 200
		moved, err := c.AddWorkdays(at, n)
		if err != nil {
			t.Fatal(err)
		}
		if n != 0 && !c.IsWorkday(moved) {
			t.Fatalf("AddWorkdays(%s, %d) = %s, which is no working day", at, n, moved)
		}
		if got, err := c.WorkdaysBetween(at, moved); err != nil || got != n {
			t.Fatalf("WorkdaysBetween(%s, %s) = %d, %v, want %d", at, moved, got, err, n)
		}
	}
}

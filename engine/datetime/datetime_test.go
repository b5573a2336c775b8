package datetime_test

import (
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/b24rules/b24rules/engine/datetime"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := datetime.Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func timeIn(t testing.TB, text, in string) time.Time {
	t.Helper()
	m, err := datetime.Parse(text, datetime.TimeText, zone(t, in))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func day(t testing.TB, text string) time.Time {
	t.Helper()
	d, err := datetime.Parse(text, datetime.DayText, nil)
	if err != nil || !datetime.IsDay(d) {
		t.Fatalf("%s: %v, %v", text, d, err)
	}
	return d
}

func TestParse(t *testing.T) {
	riga, york := zone(t, "Europe/Riga"), zone(t, "America/New_York")
	tests := []struct {
		text string
		sort datetime.Sort
		zone *time.Location
		want string
	}{
		// a date field: midnight moved by the offset of the server, whatever the zone is
		{"2026-05-31T03:00:00+03:00", datetime.DayText, york, "2026-05-31"},
		{"2026-05-31T03:00:00+03:00", datetime.Unknown, york, "2026-05-31"},
		{"2026-05-30T20:00:00-04:00", datetime.DayText, york, "2026-05-31"},
		{"2026-05-31T00:00:00+00:00", datetime.Unknown, york, "2026-05-31"},
		{"2026-05-31T00:00:00+03:00", datetime.Unknown, york, "2026-05-31"},
		{"2026-05-31T11:20:00+03:00", datetime.DayText, york, "2026-05-31"},
		{"2026-05-31", datetime.Unknown, riga, "2026-05-31"},
		{"31.05.2026", datetime.Unknown, riga, "2026-05-31"},
		{"31.05.2026 15:04", datetime.DayText, riga, "2026-05-31"},
		{"2024-02-29", datetime.Unknown, nil, "2024-02-29"},
		// moments, in the zone
		{"2026-05-31T03:00:00+03:00", datetime.TimeText, york, "2026-05-30T20:00:00-04:00"},
		{"2026-05-31T03:00:00Z", datetime.Unknown, york, "2026-05-30T23:00:00-04:00"},
		{"2026-05-31T00:00:00Z", datetime.Unknown, nil, "2026-05-31T00:00:00Z"},
		{"2026-05-31T11:20:00+03:00", datetime.Unknown, nil, "2026-05-31T11:20:00+03:00"},
		{"2026-05-31", datetime.TimeText, riga, "2026-05-31T00:00:00+03:00"},
		{"31.12.2026 23:59:59", datetime.Unknown, riga, "2026-12-31T23:59:59+02:00"},
		{"2026-12-31 23:59", datetime.Unknown, nil, "2026-12-31T23:59:00Z"},
		// 02:30 does not exist on this day, 03:30 exists twice on that day
		{"2026-03-29 03:30", datetime.Unknown, riga, "2026-03-29T04:30:00+03:00"},
		{"2026-10-25 03:30", datetime.Unknown, riga, "2026-10-25T03:30:00+03:00"},
	}
	for _, tt := range tests {
		got, err := datetime.Parse(tt.text, tt.sort, tt.zone)
		if err != nil || datetime.Text(got) != tt.want {
			t.Errorf("Parse(%s, %d, %v) = %s, %v, want %s", tt.text, tt.sort, tt.zone, datetime.Text(got), err, tt.want)
		}
	}
	for _, bad := range []string{"", "30.02.2026", "2026-13-01", "tomorrow", "01/02/2026", "2026-02-30"} {
		if got, err := datetime.Parse(bad, datetime.Unknown, nil); err == nil {
			t.Errorf("Parse(%s) = %s, want an error", bad, got)
		}
	}
}

func TestMove(t *testing.T) {
	const riga = "Europe/Riga"
	tests := []struct {
		name string
		got  time.Time
		want string
	}{
		{"over the change to summer time", datetime.AddDays(timeIn(t, "2026-03-28 10:00", riga), 1), "2026-03-29T10:00:00+03:00"},
		{"over the change to winter time", datetime.AddDays(timeIn(t, "2026-10-24 10:00", riga), 1), "2026-10-25T10:00:00+02:00"},
		{"into the hour that is skipped", datetime.AddDays(timeIn(t, "2026-03-28 03:30", riga), 1), "2026-03-29T04:30:00+03:00"},
		{"out of it again", datetime.AddDays(timeIn(t, "2026-03-28 03:30", riga), 2), "2026-03-30T03:30:00+03:00"},
		{"into the hour that comes twice", datetime.AddDays(timeIn(t, "2026-10-24 03:30", riga), 1), "2026-10-25T03:30:00+03:00"},
		{"a day", datetime.AddDays(day(t, "2026-12-31"), 1), "2027-01-01"},
		{"back", datetime.AddDays(day(t, "2026-03-01"), -1), "2026-02-28"},
		{"a month from the end", datetime.AddMonths(day(t, "2024-01-31"), 1), "2024-02-29"},
		{"a year from February 29", datetime.AddMonths(day(t, "2024-02-29"), 12), "2025-02-28"},
		{"a month back over the year", datetime.AddMonths(timeIn(t, "2026-01-31 08:00", riga), -2), "2025-11-30T08:00:00+02:00"},
	}
	for _, tt := range tests {
		if got := datetime.Text(tt.got); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAtTime(t *testing.T) {
	riga, ekb := zone(t, "Europe/Riga"), zone(t, "Asia/Yekaterinburg")
	tests := []struct {
		t     time.Time
		clock string
		zone  *time.Location
		want  string
	}{
		{day(t, "2026-05-31T03:00:00+03:00"), "09:00", ekb, "2026-05-31T09:00:00+05:00"},
		{day(t, "2026-05-31"), "09:00", nil, "2026-05-31T09:00:00Z"},
		{day(t, "2026-03-29"), "03:30", riga, "2026-03-29T04:30:00+03:00"},
		{day(t, "2026-10-25"), "03:30:15", riga, "2026-10-25T03:30:15+03:00"},
		// 22:00 in UTC is the next day in the zone
		{time.Date(2026, 5, 31, 22, 0, 0, 0, time.UTC), "09:00", riga, "2026-06-01T09:00:00+03:00"},
	}
	for _, tt := range tests {
		got, err := datetime.AtTime(tt.t, tt.clock, tt.zone)
		if err != nil || datetime.Text(got) != tt.want {
			t.Errorf("AtTime(%s, %s) = %s, %v, want %s", datetime.Text(tt.t), tt.clock, datetime.Text(got), err, tt.want)
		}
	}
	for _, bad := range []string{"9", "9:00", "24:00", "09:60", "09.00", "", "nine"} {
		if _, err := datetime.AtTime(day(t, "2026-05-31"), bad, nil); err == nil {
			t.Errorf("AtTime(%q) has no error", bad)
		}
	}
}

// TestDayAndTime: a day is compared and counted as a day, in the zone of the moment.
func TestDayAndTime(t *testing.T) {
	d := day(t, "2026-05-31T03:00:00+03:00")
	for text, want := range map[string]int{"2026-05-30 23:59": 1, "2026-05-31 00:00": 0, "2026-05-31 23:59": 0, "2026-06-01 00:00": -1} {
		m := timeIn(t, text, "Asia/Yekaterinburg")
		if got := datetime.Compare(d, m); got != want {
			t.Errorf("Compare(May 31, %s) = %d, want %d", text, got, want)
		}
		if got := datetime.DaysBetween(m, d); got != want {
			t.Errorf("DaysBetween(%s, May 31) = %d, want %d", text, got, want)
		}
	}
}

// TestDaysBetweenUndoesAddDays uses random times in zones with and without summer time.
func TestDaysBetweenUndoesAddDays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	zones := []*time.Location{time.UTC, zone(t, "Europe/Riga"), zone(t, "America/New_York"), zone(t, "Australia/Lord_Howe"), zone(t, "Asia/Yekaterinburg")}
	for range 5000 {
		at := time.Unix(r.Int64N(4e9), 0).In(zones[r.IntN(len(zones))])
		n := r.IntN(2000) - 1000
		moved := datetime.AddDays(at, n)
		if got := datetime.DaysBetween(at, moved); got != n {
			t.Fatalf("DaysBetween(%s, AddDays(…, %d)) = %d", at, n, got)
		}
		if at.Format("15:04:05") != moved.Format("15:04:05") {
			// Only an hour that is skipped moves the clocks. time.Date shifts it too.
			y, m, d := moved.Date()
			if same := time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), 0, at.Location()); same.Format("15:04:05") == at.Format("15:04:05") {
				t.Fatalf("AddDays(%s, %d) = %s", at, n, moved)
			}
		}
	}
}

func TestFormat(t *testing.T) {
	at := time.Date(2026, 5, 5, 7, 4, 9, 0, time.UTC)
	tests := []struct {
		pattern string
		lang    datetime.Language
		want    string
	}{
		{"d MMMM yyyy", "ru", "5 мая 2026"},
		{"dd MMMM yyyy", "ru", "05 мая 2026"},
		{"«dd» MMMM yyyy 'г.'", "ru", "«05» мая 2026 г."},
		{"MMMM yyyy", "ru", "май 2026"},
		{"yyyy MMMM", "ru", "2026 май"},
		{"d MMM", "ru", "5 мая"},
		{"EEEE, d MMMM", "ru", "вторник, 5 мая"},
		{"EEE", "ru", "вт"},
		{"EEEE, MMMM d, yyyy", "en", "Tuesday, May 5, 2026"},
		{"EEE d MMM yy", "", "Tue 5 May 26"},
		{"d.M.yyyy H:mm:ss", "en", "5.5.2026 7:04:09"},
		{"dd.MM.yyyy HH:mm", "ru", "05.05.2026 07:04"},
		{"yyyy-MM-dd'T'HH:mm", "en", "2026-05-05T07:04"},
		{"yyyyMMddTHHmm", "en", "20260505T0704"},
		{"'it''s' dd", "en", "it's 05"},
		{"''yy", "en", "'26"},
		{"'yy", "en", "'26"},
		// words keep their letters
		{"on dd.MM, updated", "en", "on 05.05, updated"},
		{"date: dd.MM", "en", "date: 05.05"},
	}
	for _, tt := range tests {
		if got := datetime.Format(at, tt.pattern, tt.lang); got != tt.want {
			t.Errorf("Format(%q, %s) = %q, want %q", tt.pattern, tt.lang, got, tt.want)
		}
	}
	if got := datetime.Format(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "H:mm", "en"); got != "0:00" {
		t.Errorf("midnight is %q", got)
	}
}

package datetime_test

import (
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/engine/datetime"
)

const cronLayout = "2006-01-02 15:04 -0700"

// TestCronNext checks the ticks after a time: both changes of summer time, the end of a
// year, 29 February, names, steps, and days that either field allows.
func TestCronNext(t *testing.T) {
	for _, tt := range []struct{ name, cron, zone, after, want string }{
		{"each minute", "* * * * *", "UTC", "2026-01-01 10:00 +0000", "2026-01-01 10:01 +0000; 2026-01-01 10:02 +0000"},
		{"quarters", "*/15 * * * *", "UTC", "2026-12-31 23:40 +0000", "2026-12-31 23:45 +0000; 2027-01-01 00:00 +0000"},
		{"working days", "0 9 * * mon-fri", "Europe/Moscow", "2026-05-01 09:00 +0300", "2026-05-04 09:00 +0300; 2026-05-05 09:00 +0300"},
		{"Sunday as 7 and in a range", "0 3 * * sat-sun", "UTC", "2026-05-01 00:00 +0000", "2026-05-02 03:00 +0000; 2026-05-03 03:00 +0000; 2026-05-09 03:00 +0000"},
		{"29 February", "30 6 29 feb *", "UTC", "2026-01-01 00:00 +0000", "2028-02-29 06:30 +0000; 2032-02-29 06:30 +0000"},
		{"29 February on a Sunday", "0 0 29 2 */7", "UTC", "2026-01-01 00:00 +0000", "2032-02-29 00:00 +0000"},
		{"a day of the month or of the week", "0 0 13 * fri", "UTC", "2026-05-09 00:00 +0000", "2026-05-13 00:00 +0000; 2026-05-15 00:00 +0000"},
		{"the hour that spring takes", "30 2 * * *", "Europe/Berlin", "2026-03-28 12:00 +0100", "2026-03-29 03:30 +0200; 2026-03-30 02:30 +0200"},
		{"the hour that autumn repeats", "30 2 * * *", "Europe/Berlin", "2026-10-24 12:00 +0200", "2026-10-25 02:30 +0200; 2026-10-26 02:30 +0100"},
		{"each hour in spring", "0 * * * *", "Europe/Berlin", "2026-03-29 00:30 +0100", "2026-03-29 01:00 +0100; 2026-03-29 03:00 +0200; 2026-03-29 04:00 +0200"},
		{"each hour in autumn", "0 * * * *", "Europe/Berlin", "2026-10-25 01:30 +0200", "2026-10-25 02:00 +0200; 2026-10-25 02:00 +0100; 2026-10-25 03:00 +0100"},
		{"another zone than the text of after", "0 9 1 * *", "Asia/Yekaterinburg", "2026-04-30 23:00 +0300", "2026-05-01 09:00 +0500"},
		{"lists and steps of a range", "10-40/15,50 0 1 jan,jul *", "UTC", "2026-06-30 00:00 +0000", "2026-07-01 00:10 +0000; 2026-07-01 00:25 +0000; 2026-07-01 00:40 +0000; 2026-07-01 00:50 +0000; 2027-01-01 00:10 +0000"},
		{"a day that is skipped", "0 12 30 * *", "Pacific/Apia", "2011-12-31 00:30 +1400", "2011-12-31 12:00 +1400; 2012-01-30 12:00 +1400"},
		{"a midnight that is skipped", "0 0 * * *", "America/Sao_Paulo", "2018-11-03 12:00 -0300", "2018-11-04 01:00 -0200; 2018-11-05 00:00 -0200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zone, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			c, err := datetime.ParseCron(tt.cron)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(cronLayout, tt.after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range strings.Count(tt.want, ";") + 1 {
				at = c.Next(at, zone)
				got = append(got, at.Format(cronLayout))
			}
			if g := strings.Join(got, "; "); g != tt.want {
				t.Errorf("ticks %s\nwant  %s", g, tt.want)
			}
		})
	}
}

// TestCronErrors checks schedules that cannot be read or never come.
func TestCronErrors(t *testing.T) {
	for cron, want := range map[string]string{
		"":                "has 0",
		"* * * *":         "has 4",
		"* * * * * *":     "has 6",
		"60 * * * *":      `minute "60": it is a number from 0 to 59`,
		"* 24 * * *":      `hour "24"`,
		"* * 0 * *":       `day "0": it is a number from 1 to 31`,
		"* * * may-feb *": "may is after feb",
		"* * * * monday":  "or a name such as sun",
		"*/0 * * * *":     "the step is a number from 1 to 59",
		"1/x * * * *":     "the step is a number",
		"1-x * * * *":     `minute "1-x"`,
		"0 0 30 2 *":      "no year has such a day",
		"0 0 31 4,6 *":    "no year has such a day",
	} {
		if _, err := datetime.ParseCron(cron); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", cron, err, want)
		}
	}
	if c, err := datetime.ParseCron("0  9 * * MON"); err != nil || c.String() != "0 9 * * mon" {
		t.Error(c, err)
	}
}

// TestCronDue checks which tick is caught up after an absence.
func TestCronDue(t *testing.T) {
	for _, tt := range []struct{ name, cron, due, now, want string }{
		{"on time", "0 9 * * *", "2026-05-04 09:00 +0000", "2026-05-04 09:00 +0000", "2026-05-04 09:00 +0000"},
		{"an hour late", "0 9 * * *", "2026-05-04 09:00 +0000", "2026-05-04 10:00 +0000", "2026-05-04 09:00 +0000"},
		{"more than half a day late", "0 9 * * *", "2026-05-04 09:00 +0000", "2026-05-04 22:00 +0000", ""},
		{"a weekly tick, more than a day late", "0 9 * * mon", "2026-05-04 09:00 +0000", "2026-05-05 10:00 +0000", ""},
		{"a weekly tick, less than a day late", "0 9 * * mon", "2026-05-04 09:00 +0000", "2026-05-05 08:00 +0000", "2026-05-04 09:00 +0000"},
		{"after a week only the last of seven", "0 9 * * *", "2026-05-04 09:00 +0000", "2026-05-11 09:30 +0000", "2026-05-11 09:00 +0000"},
		{"after a month, each minute", "* * * * *", "2026-05-04 09:00 +0000", "2026-06-04 09:00 +0000", "2026-06-04 09:00 +0000"},
		{"after a month, none lately", "0 9 1 jan *", "2026-01-01 09:00 +0000", "2026-06-04 09:00 +0000", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := datetime.ParseCron(tt.cron)
			if err != nil {
				t.Fatal(err)
			}
			due, _ := time.Parse(cronLayout, tt.due)
			now, _ := time.Parse(cronLayout, tt.now)
			got := ""
			if at := c.Due(due, now, time.UTC); !at.IsZero() {
				got = at.Format(cronLayout)
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

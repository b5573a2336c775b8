package emulator

import (
	"strings"
	"time"
)

// zone is how a portal writes and reads dates and times.
type zone struct {
	*time.Location
	// dayFirst lets lists write dates as 31/12/2024 rather than 12/31/2024.
	dayFirst bool
}

// second is a time as the portal stores it: in its zone and cut to the second.
func (z zone) second(t time.Time) time.Time { return t.In(z.Location).Truncate(time.Second) }

// local is a moment as lists show it: in the portal's form and without a zone.
func (z zone) local(t time.Time) string {
	if z.dayFirst {
		return t.Format("02/01/2006 15:04:05")
	}
	return t.Format("01/02/2006 03:04:05 pm")
}

// localDay is a date as lists show it.
func (z zone) localDay(t time.Time) string {
	if z.dayFirst {
		return t.Format("02/01/2006")
	}
	return t.Format("01/02/2006")
}

// stamp writes a moment as crm answers do.
func (z zone) stamp(t time.Time) string { return t.In(z.Location).Format(time.RFC3339) }

// stampDate writes a date as crm answers do: midnight moved by the zone's
// offset, 2024-07-23T03:00:00+03:00 in a zone three hours east. The portal adds
// the offset to the local midnight.
func (z zone) stampDate(t time.Time) string {
	y, m, d := t.Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, z.Location)
	_, offset := midnight.Zone()
	return midnight.Add(time.Duration(offset) * time.Second).Format(time.RFC3339)
}

// timeLayouts are the forms of a moment that the portal understands.
var timeLayouts = [...]string{
	time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
	"02.01.2006 15:04:05", "02.01.2006 15:04", "02.01.2006",
	"01/02/2006 03:04:05 pm", "01/02/2006 03:04 pm", "01/02/2006 15:04:05", "01/02/2006",
}

// parseTime reads a moment. Without an offset it is in the portal's zone.
func (z zone) parseTime(v any) (time.Time, bool) {
	text := strings.ToLower(strings.TrimSpace(toText(v)))
	text = strings.Replace(strings.Replace(text, "t", "T", 1), "z", "Z", 1)
	if text == "" || len(text) > 40 {
		return time.Time{}, false
	}
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, z.Location); err == nil {
			return z.second(t), true
		}
	}
	return time.Time{}, false
}

// parseDate reads a date: the day of the moment in the portal's zone.
func (z zone) parseDate(v any) (time.Time, bool) {
	t, ok := z.parseTime(v)
	if !ok {
		return time.Time{}, false
	}
	return dateOf(t), true
}

// dateTime reads a time, nil where text holds none.
func (z zone) dateTime(text string) any {
	if t, ok := z.parseTime(text); ok {
		return t
	}
	return nil
}

package value

import (
	"strings"
	"time"
)

// Zone is how a portal writes and reads dates and times.
type Zone struct {
	*time.Location
	// DayFirst lets lists write dates as 31/12/2024 rather than 12/31/2024.
	DayFirst bool
}

// Second is a time as the portal stores it: in its zone and cut to the second.
func (z Zone) Second(t time.Time) time.Time { return t.In(z.Location).Truncate(time.Second) }

// Local is a moment as lists show it: in the portal's form and without a zone.
func (z Zone) Local(t time.Time) string {
	if z.DayFirst {
		return t.Format("02/01/2006 15:04:05")
	}
	return t.Format("01/02/2006 03:04:05 pm")
}

// LocalDay is a date as lists show it.
func (z Zone) LocalDay(t time.Time) string {
	if z.DayFirst {
		return t.Format("02/01/2006")
	}
	return t.Format("01/02/2006")
}

// Stamp writes a moment as crm answers do.
func (z Zone) Stamp(t time.Time) string { return t.In(z.Location).Format(time.RFC3339) }

// StampDate writes a date as crm answers do: midnight moved by the zone's
// offset, 2024-07-23T03:00:00+03:00 in a zone three hours east. The portal adds
// the offset to the local midnight.
func (z Zone) StampDate(t time.Time) string {
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

// ParseTime reads a moment. Without an offset it is in the portal's zone.
func (z Zone) ParseTime(v any) (time.Time, bool) {
	text := strings.ToLower(strings.TrimSpace(Text(v)))
	text = strings.Replace(strings.Replace(text, "t", "T", 1), "z", "Z", 1)
	if text == "" || len(text) > 40 {
		return time.Time{}, false
	}
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, z.Location); err == nil {
			return z.Second(t), true
		}
	}
	return time.Time{}, false
}

// ParseDate reads a date: the day of the moment in the portal's zone.
func (z Zone) ParseDate(v any) (time.Time, bool) {
	t, ok := z.ParseTime(v)
	if !ok {
		return time.Time{}, false
	}
	return DateOf(t), true
}

// DateTime reads a time, nil where text holds none.
func (z Zone) DateTime(text string) any {
	if t, ok := z.ParseTime(text); ok {
		return t
	}
	return nil
}

// Package datetime is the arithmetic of dates and times in formulas: days without a
// zone, times in the zone of a portal, patterns, and calendars of work.
//
// A day is a time.Time that Day made: it has no zone, and only its year, month and day
// have a meaning. All other times are moments. Their location is the zone in which
// people read them.
package datetime

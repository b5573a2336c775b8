// Package datetime calculates with days and times, for formulas. It also has patterns
// and calendars of work.
//
// A day is a time.Time that Day made: it has no zone, and only its year, month and day
// have a meaning. All other times are moments. Their location is the zone in which
// people read them.
package datetime

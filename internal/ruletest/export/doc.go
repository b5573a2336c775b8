// Package export writes a run from the history as a rule test.
package export

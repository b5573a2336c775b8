// Package wire reads the values of a portal's answers. PHP writes them in several
// ways: an id is 5 or "5", an empty object is [], a list with gaps is an object.
package wire

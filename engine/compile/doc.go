// Package compile turns the text of a rule file into a rule set. It is for b24rules
// itself, and its API may change.
package compile

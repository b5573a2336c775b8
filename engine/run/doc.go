// Package run executes one rule for one entity of a portal. It is for b24rules itself,
// and its API may change.
package run

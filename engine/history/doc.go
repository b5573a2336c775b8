// Package history records what a run does, step by step. It is for b24rules itself, and
// its API may change.
package history

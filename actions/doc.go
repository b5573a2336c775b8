// Package actions holds the verbs of the rule language: what a step can do. Each
// stands in a file of its own, which holds its arguments, its manual and its
// work; All lists them.
//
// An action reads before it writes and writes only what differs, so that a run
// that is repeated changes nothing twice. It does not retry and does not log its
// own failure: it returns the error, and the engine and the queue decide.
package actions

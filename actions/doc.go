// Package actions holds the actions of the rule language: what a step can do.
// Each has its own file with its arguments, its manual and its code. All lists them.
//
// An action reads before it writes and writes only what differs, so that a
// repeated run changes nothing twice. It does not retry and does not log its
// failure. It returns the error, and the engine and the queue decide.
package actions

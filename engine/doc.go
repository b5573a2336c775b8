// Package engine defines what an action is and what a rule is.
//
// An action is a value made by Define. The struct of its arguments is the only source
// for decoding, checks, the editor's schema and the manual. The engine knows no action
// by name: its callers pass a list of actions.
//
// A rule file is YAML in which a value that starts with "=" is a formula. Package
// compile turns a file into a RuleSet, or into findings with the place of each mistake.
// Package lint finds likely mistakes, load does both. Package run executes the steps of
// one rule for one entity, and history keeps what the run did.
package engine

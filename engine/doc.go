// Package engine compiles rule files and runs their rules.
//
// A rule file is YAML in which every value that begins with "=" is a formula.
// Compile turns a parsed file into a RuleSet or into findings that carry the
// exact place of each mistake; nothing of a set with an error can run. At run
// time Rule.Run executes the steps of one rule for one entity against a portal.
//
// The engine does not know the actions: the caller hands it their list. An
// action is a value made by Define; the struct of its arguments is the only
// source for decoding, checks, the editor's schema and the manual.
package engine

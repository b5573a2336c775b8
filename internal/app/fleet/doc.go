// Package fleet decides which rule sets run in which portal.
//
// Rules loads the rule files and compares them with what runs: a Generation. It
// decides for each portal and rule set. A rule set whose current text has errors, or
// whose inputs a portal lacks, keeps its last good version there, and does not affect
// other rule sets and portals.
package fleet

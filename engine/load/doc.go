// Package load compiles a rule file and lints it. It is for b24rules itself and
// may change.
package load

// Package lint finds likely mistakes in compiled rules: cycles, conflicts, what is
// never used. It is for b24rules itself and may change.
package lint

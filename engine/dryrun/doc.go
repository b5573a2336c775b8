// Package dryrun lets a run of a rule read everything and write nothing. It is for
// b24rules itself and may change.
package dryrun

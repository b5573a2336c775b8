// Package dryrun lets a run read everything and write nothing. It is for b24rules itself,
// and its API may change.
package dryrun

// Package testportal builds an emulated portal from a file: its settings and its
// data.
//
// Rule tests and seeds of the emulator use it. It checks the file against the
// portal, writes the data over REST as people do, and reads all data back as a
// snapshot.
package testportal

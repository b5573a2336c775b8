// Package history keeps what one run did, step by step, and writes it down. It is
// for b24rules itself and may change.
package history

// Package journal reads the events and runs that package queue has stored.
//
// Its functions read from any [store.Reader], also from a transaction. They change
// nothing. The SQL whose name starts with Where or Select is also for package queue, which
// reads the same rows to change them.
package journal
